"""Checkpoints of agents and of runs: which are sound, and what one knows of its run beside the agent's state."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.record_checks import checked_record, is_count
from mtgrpo_env.agents.run_folder import RUN_FILE, RunFolder, set_aside
from mtgrpo_env.manifest import MANIFEST, DamagedError, read_object, verify_claimed

STATE_FILE = "agent.json"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a checkpoint knows of its run.

    Attributes:
        made_of: descriptions with digests, by kind and name; see `made_of`. None in a checkpoint of an earlier version.
        records: of the history, but for those of steps.
        has_learned: whether a step was informative, by the records of steps.
    """

    made_of: Mapping[str, Mapping[str, str]] | None = None
    records: Sequence[Mapping[str, Any]] = ()
    has_learned: bool = True

    @property
    def text(self) -> str:
        """As the file holds it."""
        content = {"made_of": self.made_of, "records": list(self.records), "has_learned": self.has_learned}
        return json.dumps(content, indent=1)

    @classmethod
    def of(cls, checkpoint: Path) -> RunRecord:
        """That of a sound checkpoint.

        Raises:
            DamagedError: naming what is odd in it, which another version or another hand may have written.
        """
        if not (checkpoint / RUN_FILE).is_file():  # an agent's alone, or of an earlier version
            return cls()
        with odd_content_named(checkpoint / RUN_FILE):
            saved = read_object(checkpoint / RUN_FILE)
            made, learned = saved["made_of"], saved["has_learned"]
            if not (made is None or _is_made_of(made)):
                raise ValueError(f"expected made_of as names with digests, by kind, got {made!r:.80}")
            if not isinstance(learned, bool):
                raise ValueError(f"expected has_learned as true or false, got {learned!r:.80}")
            return cls(made, [checked_record(record) for record in saved["records"]], learned)


@contextmanager
def odd_content_named(source: Path) -> Iterator[None]:
    """Whatever is raised while a checkpoint with a sound manifest is read, in one line that names it.

    The manifest says that the files are those that were written, not that this version could have written them. Errors
    of files, of memory, of packages and of engines are not of the content, and stay as they are.

    Args:
        source: the file or the folder that is read.

    Raises:
        DamagedError: naming the source, the kind of the error and what it says.
        ValueError: as it was, if it names the source itself.
    """
    try:
        yield
    except (OSError, MemoryError, ImportError):
        raise
    except Exception as error:
        is_of_engines = isinstance(error, RuntimeError) and type(error) not in (RuntimeError, RecursionError)
        if is_of_engines or (isinstance(error, ValueError) and str(source) in str(error)):
            raise
        said = " ".join(str(error).split()) or "no message"
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise DamagedError(f"{source} holds what this version cannot read: {kind}{said:.300}") from error


def _is_made_of(made: Any) -> bool:
    return isinstance(made, dict) and all(
        isinstance(of, dict) and all(isinstance(digest, str) for digest in of.values()) for of in made.values()
    )


def agent_state(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of its agent.

    Raises:
        FileNotFoundError: if it is none.
        ValueError: naming the file that is damaged, or if this version cannot read it.
    """
    file = folder / STATE_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{folder} is no agent checkpoint: it has no {STATE_FILE}")
    state = read_object(file)
    if "hyperparameters" not in state and "format" in state:
        raise DamagedError(f"{file} is damaged: expected hyperparameters, found {list(state)}")
    if "hyperparameters" not in state:
        raise ValueError(f"{folder} was written by an older version of this package, which this one cannot continue")
    if not isinstance(state["hyperparameters"], dict):
        raise DamagedError(f"{file} is damaged: expected hyperparameters, found {state['hyperparameters']!r:.80}")
    for name in ("step", "rollouts"):
        if not is_count(state.get(name)):
            raise DamagedError(f"{file} is damaged: expected {name} as a count, found {state.get(name)!r:.80}")
    return state


def resumable_record(checkpoint: Path | None, *, accepts_first_format: bool) -> RunRecord:
    """What a sound checkpoint knows of its run; without one nothing is known.

    Raises:
        ValueError: if it is of the first format, which knows nothing, and that is not accepted.
    """
    if checkpoint is None:
        return RunRecord()
    if (checkpoint / MANIFEST).is_file() or accepts_first_format:
        return RunRecord.of(checkpoint)
    raise ValueError(
        f"{checkpoint} is of an earlier version, which did not record what it was made of, and whose groups for replay "
        "are not read: --accept-changes package resumes without them"
    )


def check_checkpoint(folder: Path, *, unread: str = "") -> None:
    """Make sure that a checkpoint is what was written; one of the first format cannot be verified, and that is logged.

    Args:
        folder: of the checkpoint.
        unread: as in `verify`.

    Raises:
        FileNotFoundError: if it is none.
        DamagedError: naming the file, what was expected and what was found.
        ValueError: if it is of a format that this version cannot read.
    """
    has_manifest = (folder / MANIFEST).is_file()
    verify_claimed(folder, is_claimed=not has_manifest and "format" in agent_state(folder), unread=unread)


def check_model_folder(folder: Path) -> None:
    """`check_checkpoint` for one that plays, if it is ours: what only training reads need not be digested."""
    if any((folder / name).is_file() for name in (STATE_FILE, RUN_FILE)):
        check_checkpoint(folder, unread="optimizer-")


def newest_sound_checkpoint(run: RunFolder) -> Path | None:
    """The newest checkpoint of a run that is sound; newer ones are named and take another name, none is deleted.

    Raises:
        ValueError: if there are checkpoints, and none is sound or of a format that this version can read.
    """
    damaged: list[tuple[Path, str]] = []
    for step in reversed(run.steps):
        checkpoint = run.checkpoint(step)
        try:
            check_checkpoint(checkpoint)
        except (DamagedError, FileNotFoundError) as error:
            damaged.append((checkpoint, str(error)))
            continue
        for folder, reason in damaged:
            _LOG.warning("damaged checkpoint: %s; it is kept as %s, %s is used", reason, set_aside(folder), checkpoint)
        return checkpoint
    if damaged:
        reasons = "; ".join(reason for _, reason in damaged)
        raise DamagedError(f"{run} has no sound checkpoint to resume from ({reasons}): start anew in another folder")
    return None
