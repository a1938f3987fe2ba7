"""`mtgrpo push`: a checkpoint on the Hugging Face hub, with a model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mtgrpo_env.agents.hub import push, upload_of


@dataclass(frozen=True)
class Config:
    """Upload a model with its card to the Hugging Face hub; the optimiser's state and the run's records stay here."""

    source: Annotated[Path, tyro.conf.Positional]
    """A run, of which the checkpoint with the best worst task is taken, or else the newest; or a checkpoint of it."""
    repo_id: Annotated[str, tyro.conf.Positional]
    """Where to, as "owner/name"; made if it is not there. The login is that of `hf auth login`, or HF_TOKEN."""
    public: bool = False
    """Let everybody see it; by default the repository is private."""
    merged: bool = False
    """Of a checkpoint of adapters, the whole model in its folder merged."""
    dry_run: bool = False
    """Print the card and what would be uploaded; send nothing."""


def run(config: Config) -> int:
    """Upload it, and print where it is."""
    upload = upload_of(config.source, config.repo_id, is_merged=config.merged)
    size = f"{len(upload.files)} files and the card, {upload.num_bytes / 1e6:,.1f} MB, of {upload.checkpoint}"
    if config.dry_run:
        print(upload.card)
        print("\n".join(["README.md", *upload.files]))
        print(f"{size}; nothing was sent")
        return 0
    url = push(upload, config.repo_id, is_public=config.public)
    print(f"{size}: {url}")
    return 0
