"""A checkpoint on the hub: the model with its card, private unless it is asked for, and nothing else of the run."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.checkpoint_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MERGED, OPTIMIZER_FILES
from mtgrpo_env.agents.checkpoints import check_checkpoint
from mtgrpo_env.agents.reports.chance_columns import constants_of
from mtgrpo_env.agents.reports.history import RunHistory, chance_of
from mtgrpo_env.agents.reports.model_card import CardContent, hub_id, model_card
from mtgrpo_env.agents.reports.task_table import task_rows
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.redaction import redacted

_LOG = logging.getLogger(__name__)
_CARD = "README.md"
_PUSHED = (
    *("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json"),
    *(ADAPTER_CONFIG, ADAPTER_WEIGHTS),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "chat_template*"),
)
"""What a model needs. All else stays here: the optimiser's state, generators, groups for replay, the run's records."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What goes to the hub.

    Attributes:
        checkpoint: of which.
        files: by their names there.
        card: the text of its README.md.
    """

    checkpoint: Path
    files: Mapping[str, Path]
    card: str

    @property
    def num_bytes(self) -> int:
        """Of the files."""
        return sum(path.stat().st_size for path in self.files.values())


def upload_of(source: Path, repo_id: str, *, is_merged: bool = False) -> Upload:
    """What is uploaded of a run or of one of its checkpoints; nothing is sent.

    Args:
        source: a run, whose best checkpoint is taken, or else its newest; or one of its checkpoints.
        repo_id: "owner/name".
        is_merged: take the whole model in a checkpoint of adapters.

    Raises:
        ValueError: if there is no such checkpoint, it is damaged or was not evaluated, others could not load it, or the
            hub has no such names.
    """
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)
    checkpoint, run = _checkpoint_of(source)
    check_checkpoint(checkpoint, unread=OPTIMIZER_FILES.partition("*")[0])
    folder = checkpoint / MERGED if is_merged else checkpoint
    if not folder.is_dir():
        raise ValueError(f"expected a whole model in {folder}, found none: train with --save-merged")
    has_adapters = (folder / ADAPTER_CONFIG).is_file()
    options = run.read_options()
    if has_adapters:
        _check_base(folder)
    files = {path.name: path for pattern in _PUSHED for path in sorted(folder.glob(pattern)) if _is_own(path)}
    return Upload(checkpoint, files, _card(checkpoint, run, repo_id, options, has_adapters=has_adapters))


def push(upload: Upload, repo_id: str, *, is_public: bool = False) -> str:
    """Upload it in one commit; the address.

    Args:
        upload: of which files.
        repo_id: made if it is not there.
        is_public: otherwise the repository must be private.

    Raises:
        ValueError: if the repository is public and ought not to be.
        OSError: if the hub cannot be reached, or refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    operations = [CommitOperationAdd(name, str(path)) for name, path in upload.files.items()]
    operations.append(CommitOperationAdd(_CARD, upload.card.encode()))
    try:
        url = api.create_repo(repo_id, private=not is_public, exist_ok=True)
        is_private = api.model_info(repo_id).private
        if is_private or is_public:
            api.create_commit(repo_id, operations, commit_message=f"Upload {upload.checkpoint.name} by mtgrpo push")
    except Exception as error:  # its HTTP library has changed from version to version
        raise OSError(f"cannot push to {repo_id!r}: {redacted(' '.join(str(error).split()))}") from error
    if not is_private and not is_public:
        raise ValueError(f"{repo_id!r} is public, so nothing was uploaded: --public uploads all the same")
    if is_private and is_public:
        _LOG.warning("%s was private before and stays so", repo_id)
    return str(url)


def _check_base(folder: Path) -> None:
    """Adapters name the model that they belong to, and a folder of this machine is of no use elsewhere."""
    base = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    if hub_id(base) is None:
        raise ValueError(
            f"{folder} holds adapters for a model that is not on the hub, {base!r}, without which nobody can use them: "
            "train with --save-merged and push with --merged"
        )


def _checkpoint_of(source: Path) -> tuple[Path, RunFolder]:
    run = RunFolder(source)
    if run.is_run:
        best = RunHistory(run.history, last_step=sys.maxsize, writes=False).best_evaluation()
        if best and run.checkpoint(best["step"]).is_dir():
            return run.checkpoint(best["step"]), run
        if (newest := run.newest_checkpoint) is None:
            raise ValueError(f"{source} has no checkpoint yet")
        return newest, run
    run = RunFolder(source.resolve().parents[1]) if len(source.resolve().parents) > 1 else run
    if not (run.is_run and (source / "agent.json").is_file()):
        raise ValueError(f"expected the folder of a run, or of one of its checkpoints, got {str(source)!r}")
    return source, run


def _card(checkpoint: Path, run: RunFolder, repo_id: str, options: Mapping[str, Any], *, has_adapters: bool) -> str:
    state = json.loads((checkpoint / "agent.json").read_text(encoding="utf-8"))
    names, step = tuple(state["hyperparameters"]["tasks"]), int(state["step"])
    records = RunHistory(run.history, last_step=step, writes=False).records
    rows = task_rows(names, records, step=step)
    if not rows:
        raise ValueError(
            f"{checkpoint} was not evaluated, so its card would be empty: push one that was, of --eval-every"
        )
    chance = chance_of(records)
    constants = constants_of({name: chance.of_task(k) for k, name in enumerate(names)}) if chance else ""
    return model_card(CardContent(repo_id, options, rows, step, has_adapters, constants))


def _is_own(path: Path) -> bool:
    """Whether it is a file of the folder itself: a link may lead anywhere."""
    return path.is_file() and not path.is_symlink()
