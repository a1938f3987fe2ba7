"""A small run of TRL's trainer with our curriculum, which goes on where it was killed: `python trl_run.py FOLDER`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers.trainer_utils import get_last_checkpoint
from trl.trainer.grpo_config import GRPOConfig

from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer

_TASKS = ("even", "rare")


def main(folder: Path) -> None:
    """Train to the end, and leave a digest of the model beside it."""
    torch.set_num_threads(1)
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer, TinyModelConfig(hidden_size=16, num_layers=2, num_heads=2, context=64), seed=0)
    with torch.no_grad():  # freshly drawn it would answer everything alike
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(16)
    rows = Dataset.from_list([{"prompt": f"{task} {i} ", "task": task} for i in range(20) for task in _TASKS])
    settings = GRPOConfig(
        output_dir=str(folder),
        max_steps=6,
        save_steps=2,
        per_device_train_batch_size=32,
        num_generations=4,
        max_completion_length=6,
        learning_rate=1e-3,
        use_cpu=True,
        bf16=False,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = MTGRPOTrainer(model, _reward, settings, rows, processing_class=tokenizer)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(folder) if folder.is_dir() else None)
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    (folder / "digest.txt").write_text(found.hexdigest())


def _reward(completions: Sequence[str], task: Sequence[str], **columns: Any) -> list[float]:
    """Half of all completions to "even" are right, a few to "rare"."""
    even = [sum(map(ord, completion)) % 2 == 0 for completion in completions]
    return [float(e and (t == "even" or "a" in c.lower())) for e, t, c in zip(even, task, completions, strict=True)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
