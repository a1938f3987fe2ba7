"""Informative groups kept for the batches after their own."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.chat import ChatText, Message
from mtgrpo_env.plans import BatchPlan
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import Group

_FILE = "replay.pkl"


@dataclass(frozen=True, slots=True)
class _Held:
    """A group, the batches it was offered to and the batches it was trained on in."""

    group: Group
    offers: int = 0
    uses: int = 0


class ReplayBuffer(Stateful):
    """Informative groups kept for the next batches: the surplus, and those trained on, to fill what is lacking.

    A group of a task that seldom has a gradient is expensive. It is offered to the batches after its own as long as it
    is young and has not been trained on too often; one that was trained on before is only a spare. Each brings the
    log-probabilities it was drawn with, so the importance ratio of the objective is right, and its clip at work,
    whatever the policy has become since.

    Batches may overlap: a group that is offered to one is out until that batch is kept or given up, so that no other
    trains on it meanwhile.

    Args:
        max_age: batches to which a group is offered after its own.
        max_uses: batches in which it is trained on, its own among them; 1 keeps the surplus alone.

    Raises:
        ValueError: if an argument is below 1.
    """

    hyperparameter_names = ("max_age", "max_uses")

    def __init__(self, *, max_age: int = 3, max_uses: int = 3) -> None:
        for name, value in (("max_age", max_age), ("max_uses", max_uses)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.max_age = max_age
        self.max_uses = max_uses
        self._restore(())

    def __len__(self) -> int:
        """Groups kept, at hand or out."""
        return len(self._held)

    @property
    def groups(self) -> list[Group]:
        """Those at hand, which the next batch is offered, the oldest first."""
        return [held.group for held in self._at_hand()]

    def offer(self, plan: BatchPlan) -> list[Group]:
        """The groups at hand, once the plan knows of them; they are out until `keep` or `take_back`."""
        at_hand = self._at_hand()
        plan.offer([held.group.task_id for held in at_hand], spares=[i for i, held in enumerate(at_hand) if held.uses])
        groups = [held.group for held in at_hand]
        self._out += groups
        return groups

    def take_back(self, groups: Sequence[Group]) -> None:
        """Groups that were offered to a batch which is not finished: the next one is offered them."""
        back = {id(group) for group in groups}
        self._out = [group for group in self._out if id(group) not in back]

    def keep(self, plan: BatchPlan, groups: Sequence[Group], selected: Sequence[int]) -> None:
        """Of the groups of a finished plan, those offered first, keep what can be of use to the next ones."""
        used = set(selected)
        self.take_back(groups[: plan.replayed])
        offered = {id(group): i in used for i, group in enumerate(groups[: plan.replayed])}
        held = [
            replace(one, offers=one.offers + 1, uses=one.uses + offered[id(one.group)])
            if id(one.group) in offered
            else one
            for one in self._held
        ]
        informative = (i for i in range(plan.replayed, len(groups)) if plan.informative[i])
        held += [_Held(groups[i], uses=int(i in used)) for i in informative]
        self._held = tuple(one for one in held if one.offers < self.max_age and one.uses < self.max_uses)

    def state_dict(self) -> dict[str, Any]:
        """The groups themselves, in memory; `save` writes them as data."""
        return {"held": self._held}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._restore(state["held"])

    def save(self, folder: Path) -> None:
        """Write the groups into `folder`.

        Raises:
            ValueError: if their observations, actions or extras are not plain data, which could not be read back.
        """
        data = _dumped(self._held)
        _loaded(data)  # what cannot be read back is better known now
        (folder / _FILE).write_bytes(data)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            ValueError: if the file is damaged, or holds anything but numbers, text, arrays and records.
        """
        self._restore(_loaded((folder / _FILE).read_bytes()))

    def _restore(self, held: Sequence[_Held]) -> None:
        self._held = tuple(held)  # oldest first
        self._out: list[Group] = []  # offered to batches that are not finished

    def _at_hand(self) -> list[_Held]:
        out = {id(group) for group in self._out}
        return [held for held in self._held if id(held.group) not in out]


def _dumped(value: Any) -> bytes:
    file = io.BytesIO()
    try:
        _PlainPickler(file).dump(value)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise ValueError(f"replayed groups must be plain data: {error}") from error
    return file.getvalue()


def _loaded(data: bytes) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except Exception as error:  # damaged data can raise anything
        raise ValueError(f"replayed groups must be plain data: {error}") from error


class _PlainPickler(pickle.Pickler):
    """Writes arrays as their bytes and conversations as their texts, so that reading them calls nothing of theirs."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, ChatText):
            return (str(obj), tuple(map(tuple, obj.messages)))
        if not isinstance(obj, np.ndarray | np.generic):
            return None
        array = np.ascontiguousarray(obj)
        return (array.dtype.str, obj.shape, array.tobytes(), isinstance(obj, np.generic))


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, text, arrays, conversations and our own records, and runs nothing: a checkpoint is data."""

    def persistent_load(self, pid: Any) -> Any:
        return _conversation(*pid) if len(pid) == 2 else _array(*pid)

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        # Looked up, not imported: importing a module runs it.
        found = getattr(sys.modules.get(module_name), global_name, None)
        is_ours = module_name.partition(".")[0] == __package__
        if is_ours and isinstance(found, type) and is_dataclass(found) and found.__module__ == module_name:
            return found
        raise pickle.UnpicklingError(f"expected numbers, text, arrays and records, got {module_name}.{global_name}")


def _conversation(text: str, messages: Sequence[tuple[str, str]]) -> ChatText:
    if not all(isinstance(part, str) for part in (text, *chain.from_iterable(messages))):
        raise pickle.UnpicklingError("expected a conversation of texts, got one of something else")
    return ChatText(text, (Message(role, content) for role, content in messages))


def _array(kind: str, shape: tuple[int, ...], data: bytes, is_scalar: bool) -> Any:
    dtype = np.dtype(kind)
    if dtype.hasobject:
        raise pickle.UnpicklingError("expected an array of numbers or text, got one of objects")
    array = np.frombuffer(data, dtype).reshape(shape).copy()
    return array[()] if is_scalar else array
