"""The processes that train one policy together.

Every rank runs the same sampler and the same suite on the same seeds, so all that must be exchanged is what
only one of them knows: the groups it rolled out. One primitive is enough for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from mtgrpo_env.files import atomic_folder
from mtgrpo_env.manifest import write_manifest
from mtgrpo_env.suite import TaskError

T = TypeVar("T")


class RankError(RuntimeError):
    """Another rank failed; says which, and how."""


_UNDERSTOOD = (TaskError, FloatingPointError, OSError, ValueError)  # kinds that a run has an answer to


class Ranks(Protocol):
    """W processes, numbered from 0; this one is number `rank`."""

    @property
    def rank(self) -> int:
        """Of this process."""
        ...

    @property
    def size(self) -> int:
        """W."""
        ...

    def gather(self, value: T) -> list[T]:
        """The (W) values of all ranks, on every rank; waits for all of them."""
        ...


class OneRank:
    """This process alone."""

    rank = 0
    size = 1

    def gather(self, value: T) -> list[T]:
        return [value]


@contextmanager
def agreement(ranks: Ranks) -> Iterator[None]:
    """What one rank raises in the block, the others raise once they have left it, instead of waiting for ever.

    Raises:
        RankError: where nothing was raised but elsewhere; errors of `_UNDERSTOOD` kinds keep their kind.
    """
    raised: Exception | None = None
    try:
        yield
    except Exception as error:
        raised = error
    failures = ranks.gather(None if raised is None else (type(raised), str(raised)))
    if raised is not None:
        raise raised
    for rank, failure in enumerate(failures):
        if failure is not None:
            raise _elsewhere(rank, *failure)


def _elsewhere(rank: int, kind: type[Exception], message: str) -> Exception:
    for understood in _UNDERSTOOD:
        if issubclass(kind, understood):
            return understood(f"rank {rank}: {message}")
    return RankError(f"rank {rank} failed: {kind.__name__}: {message}")


@contextmanager
def first_before_others(ranks: Ranks) -> Iterator[bool]:
    """The first rank goes through the block, then the others do, who find what it has made; yields whether it is first.

    Raises:
        RankError: see `agreement`.
    """
    if ranks.rank == 0:
        with agreement(ranks):
            yield True
        with agreement(ranks):
            pass
        return
    with agreement(ranks):
        pass
    with agreement(ranks):
        yield False


@contextmanager
def shared_folder(folder: Path, ranks: Ranks) -> Iterator[Path]:
    """An `atomic_folder` that every rank writes into; it appears when all have left the block, or not at all.

    The last file in it is the manifest of all others.
    """
    with ExitStack() as stack:
        own = stack.enter_context(atomic_folder(folder)) if ranks.rank == 0 else None
        unfinished = ranks.gather(own)[0]
        assert unfinished is not None
        with agreement(ranks):
            yield unfinished
        with agreement(ranks):
            if own is not None:
                write_manifest(own)
