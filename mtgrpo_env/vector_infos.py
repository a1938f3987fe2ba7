"""`infos` of a vector env, built by whole columns in the layout that Gymnasium gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtgrpo_env.schedule import Assignment, Progress
from mtgrpo_env.text_env import Verdict
from mtgrpo_env.types import IntArray


class InfoLayout:
    """Turns one value for each of some slots into an array over all slots, with a mask beside it.

    As in Gymnasium, the column `x` has the mask `_x`, holds zeros where there is no number and None
    where there is no other value; arrays of one shape are stacked, and a dict becomes columns of its own.

    Args:
        num_envs: slots.

    >>> layout = InfoLayout(3)
    >>> layout.columns(np.array([0, 2]), {"l": [4, 5]})
    {'l': array([4, 0, 5]), '_l': array([ True, False,  True])}
    """

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs

    def columns(self, slots: IntArray, fields: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """A column and a mask for each field; nothing at all if there are no `slots`."""
        if not slots.size:
            return {}
        infos: dict[str, Any] = {}
        for name, values in fields.items():
            is_nested = isinstance(values[0], Mapping)
            infos[name] = self.columns(slots, _transposed(values)) if is_nested else self._column(slots, values)
            infos[f"_{name}"] = self.mask(slots)
        return infos

    def mask(self, slots: IntArray) -> NDArray[np.bool_]:
        """True at `slots`."""
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[slots] = True
        return mask

    def positions(self, slots: IntArray, assignments: Sequence[Assignment], names: Sequence[str]) -> dict[str, Any]:
        """Where in the schedule each slot is."""
        fields: dict[str, list[Any]] = {
            "task": [names[assignment.problem.task_id] for assignment in assignments],
            "task_id": [assignment.problem.task_id for assignment in assignments],
            "batch": [assignment.batch for assignment in assignments],
            "group": [assignment.group for assignment in assignments],
            "rollout": [assignment.rollout for assignment in assignments],
        }
        return self.columns(slots, fields)

    def endings(
        self, slots: IntArray, verdicts: Sequence[Verdict], lengths: Sequence[int], progress: Sequence[Progress]
    ) -> dict[str, Any]:
        """What the episodes that ended came to, and which groups and batches ended with them."""
        fields = _transposed([verdict.info for verdict in verdicts])
        fields["episode_return"] = [float(verdict.reward) for verdict in verdicts]  # turns before are worth nothing
        fields["episode_length"] = list(lengths)
        fields["batch_complete"] = [done.batch_complete for done in progress]
        of_group = [i for i, done in enumerate(progress) if done.group_informative is not None]
        selections = {i: done.selection.info for i, done in enumerate(progress) if done.selection is not None}
        infos = self.columns(slots, fields)
        infos |= self.columns(slots[of_group], {"group_informative": [progress[i].group_informative for i in of_group]})
        return infos | self.columns(slots[list(selections)], _transposed(list(selections.values())))

    def final(self, slots: IntArray, observations: Sequence[str], last: Mapping[str, Any]) -> dict[str, Any]:
        """Set aside what an episode's last step said, for the reset of the same step to say something else."""
        return self.columns(slots, {"final_obs": observations}) | self.nested(slots, "final_info", last)

    def nested(self, slots: IntArray, name: str, infos: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of some slots as one column; nothing at all if there are no `slots`."""
        return {name: infos, f"_{name}": self.mask(slots)} if slots.size else {}

    def _column(self, slots: IntArray, values: Sequence[Any]) -> NDArray[Any]:
        kind = type(values[0])
        if kind in (bool, int, float):
            column = np.zeros(self.num_envs, dtype=kind)
            column[slots] = values
        elif isinstance(values[0], np.ndarray):
            column = np.zeros((self.num_envs, *values[0].shape), dtype=values[0].dtype)
            column[slots] = values
        else:
            column = np.full(self.num_envs, None, dtype=object)
            column[slots] = np.fromiter(values, dtype=object, count=len(values))
        return column


def _transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
