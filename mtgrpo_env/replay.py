"""Informative groups kept for the batches after their own."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from mtgrpo_env.plain_data import dump, load, plain_record
from mtgrpo_env.plans import BatchPlan
from mtgrpo_env.ranges import Range
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import Group, Problem, Rollout, Step

_FILE, _ARRAYS = "replay.json", "replay.bin"
_PICKLES = ("replay.pkl", "carry_over.pkl")  # of earlier versions
_LOG = logging.getLogger(__name__)

T = TypeVar("T")


@plain_record
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
            Range(1, math.inf).check(name, value)
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
        try:
            text, arrays = dump(self._held)
        except ValueError as error:
            raise ValueError(f"replayed groups must be plain data: {error}") from error
        (folder / _FILE).write_text(text, encoding="utf-8")
        (folder / _ARRAYS).write_bytes(arrays)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; groups that an earlier version kept are left out, and that is logged.

        Raises:
            FileNotFoundError: if no version did.
            ValueError: if a file is damaged, or holds anything but numbers, text, arrays and records.
        """
        pickles = [folder / name for name in _PICKLES if (folder / name).is_file()]
        if pickles and not (folder / _FILE).is_file():
            _LOG.warning("%s: groups for replay that an earlier version kept are not read: none is held", pickles[0])
            self._restore(())
            return
        try:
            held = load((folder / _FILE).read_bytes(), (folder / _ARRAYS).read_bytes())
            _check_held(held)
        except ValueError as error:
            raise ValueError(f"{folder / _FILE}: replayed groups must be plain data: {error}") from error
        self._restore(held)

    def _restore(self, held: Sequence[_Held]) -> None:
        self._held = tuple(held)  # oldest first
        self._out: list[Group] = []  # offered to batches that are not finished

    def _at_hand(self) -> list[_Held]:
        out = {id(group) for group in self._out}
        return [held for held in self._held if id(held.group) not in out]


def _check_held(held: Any) -> None:
    """Make sure that what was read is groups, all the way down to their steps.

    Raises:
        ValueError: if anything else stands in the place of one.
    """
    groups = _all_of(_Held, held)
    rollouts = [rollout for one in _all_of(Group, [one.group for one in groups]) for rollout in one.rollouts]
    _all_of(Problem, [one.group.problem for one in groups])
    _all_of(Step, [step for rollout in _all_of(Rollout, rollouts) for step in rollout.steps])


def _all_of(kind: type[T], values: Any) -> Sequence[T]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, kind) for value in values):
        raise ValueError(f"expected a {kind.__name__.strip('_')} in each place, got {values!r:.80}")
    return values
