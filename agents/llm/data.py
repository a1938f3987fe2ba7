"""From groups of rollouts to padded tensors, with every distinct prompt held once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.neural.losses import Layout
from mtgrpo_env.types import FloatArray, Group


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine generated for one prompt: token ids, and the log-probability of each when it was drawn."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PackedGroups:
    """Rollouts of some groups as tensors: U distinct prompts, R completions.

    A rollout of several turns has several completions; each carries the rollout's advantage.
    """

    prompts: torch.Tensor  # (U, T_p) token ids, left-padded
    prompt_mask: torch.Tensor  # (U, T_p)
    prompt_index: torch.Tensor  # (R,) which prompt a completion continues
    tokens: torch.Tensor  # (R, T) right-padded
    mask: torch.Tensor  # (R, T) float
    old_log_probs: torch.Tensor  # (R, T)
    rollouts: torch.Tensor  # (R,) the rollout that a completion is a turn of, numbered from 0
    groups: torch.Tensor  # (R,) the group of that rollout, numbered from 0
    advantages: torch.Tensor  # (R,)
    weights: torch.Tensor  # (R,) loss weight of the completion's group
    task_ids: torch.Tensor  # (R,)

    @property
    def layout(self) -> Layout:
        """What the loss wants to know of the rows."""
        return Layout(self.mask, self.rollouts, self.groups)

    def rows(self, start: int, stop: int) -> PackedGroups:
        """Completions `start` to `stop`, with the prompts they continue."""
        used, index = torch.unique(self.prompt_index[start:stop], return_inverse=True)
        per_row = (self.tokens, self.mask, self.old_log_probs, self.rollouts, self.groups)
        of_groups = (self.advantages, self.weights, self.task_ids)
        kept = (column[start:stop] for column in (*per_row, *of_groups))
        return PackedGroups(self.prompts[used], self.prompt_mask[used], index, *kept)


def pack(
    groups: Sequence[Group],
    weights: FloatArray,
    pad_id: int,
    device: torch.device,
    advantages_of: Callable[[Group], FloatArray] = group_advantages,
) -> PackedGroups:
    """Pack groups, (P,) loss weights beside them; steps' `extras` must be `Completion`s."""
    rows: list[tuple[int, int, float, float, int]] = []
    completions: list[Completion] = []
    num_rollouts = 0
    for i, (group, weight) in enumerate(zip(groups, weights, strict=True)):
        for rollout, advantage in zip(group.rollouts, advantages_of(group), strict=True):
            completions += [step.extras for step in rollout.steps]
            rows += [(num_rollouts, i, float(advantage), float(weight), group.task_id)] * len(rollout.steps)
            num_rollouts += 1
    rollouts, group_ids, advantages, group_weights, task_ids = zip(*rows, strict=True)
    prompts, prompt_index = fold([completion.prompt for completion in completions])
    prompt_ids, prompt_mask = left_padded(prompts, pad_id)
    lengths = np.array([len(completion.tokens) for completion in completions])
    tokens = np.full((len(rows), lengths.max()), pad_id, dtype=np.int64)
    old_log_probs = np.zeros(tokens.shape, dtype=np.float32)
    for i, completion in enumerate(completions):
        tokens[i, : lengths[i]] = completion.tokens
        old_log_probs[i, : lengths[i]] = completion.log_probs
    mask = (np.arange(tokens.shape[1]) < lengths[:, None]).astype(np.float32)
    columns = (
        prompt_ids,
        prompt_mask,
        np.array(prompt_index),
        tokens,
        mask,
        old_log_probs,
        np.array(rollouts),
        np.array(group_ids),
        np.array(advantages, dtype=np.float32),
        np.array(group_weights, dtype=np.float32),
        np.array(task_ids),
    )
    return PackedGroups(*(torch.as_tensor(column, device=device) for column in columns))


def fold(prompts: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], list[int]]:
    """The distinct prompts in order of appearance, and for each given prompt its index among them.

    >>> fold([(1, 2), (3,), (1, 2)])
    ([(1, 2), (3,)], [0, 1, 0])
    """
    index: dict[tuple[int, ...], int] = {}
    positions = [index.setdefault(prompt, len(index)) for prompt in prompts]
    return list(index), positions


def left_padded(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[np.ndarray, np.ndarray]:
    """(U, T_p) ids and mask: padding on the left, so that every prompt ends in the last column."""
    width = max(len(prompt) for prompt in prompts)
    ids = np.full((len(prompts), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, prompt in enumerate(prompts):
        ids[i, width - len(prompt) :] = prompt
        mask[i, width - len(prompt) :] = 1
    return ids, mask
