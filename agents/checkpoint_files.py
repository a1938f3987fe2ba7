"""Names of files in a checkpoint, and what of them may go once no run is resumed from it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mtgrpo_env.files import atomic_folder
from mtgrpo_env.manifest import MANIFEST, write_manifest

OPTIMIZER_FILES = "optimizer-*.safetensors"
"""The optimiser's state: float32 parameters and two moments of what is trained, most of a checkpoint."""

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""Of adapters, by peft's names."""

MERGED = "merged"
"""In a checkpoint of adapters: the folder of the whole model, where it was asked for."""


def drop_optimizer_state(checkpoint: Path) -> None:
    """Leave of a checkpoint what is needed to play it; a kill leaves it as it was or as it is to be."""
    if any(checkpoint.glob(OPTIMIZER_FILES)):
        without = shutil.ignore_patterns(OPTIMIZER_FILES, MANIFEST)
        with atomic_folder(checkpoint) as lighter:
            shutil.copytree(checkpoint, lighter, ignore=without, copy_function=_link, dirs_exist_ok=True)
            if (checkpoint / MANIFEST).is_file():
                write_manifest(lighter)


def _link(source: str, target: str) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
