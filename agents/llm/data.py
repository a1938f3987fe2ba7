"""From groups of rollouts to padded tensors, with every distinct prompt held once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.neural.losses import Layout
from mtgrpo_env.plain_data import plain_record
from mtgrpo_env.types import FloatArray, Group

FinishReason = Literal["stop", "length"]


@plain_record
@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine generated for one prompt, and what the learner found out about it before training on it.

    Attributes:
        prompt: token ids.
        tokens: token ids, the end token or those of a stop string among them if they were drawn.
        log_probs: of each token, by the engine that drew it.
        finish_reason: "stop" if the model ended it, "length" if it was cut off.
        old_log_probs: the same by the model that is trained; None where the two are one.
        reference_log_probs: by the model that the policy is held near to; None if there is none.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    finish_reason: FinishReason = "stop"
    old_log_probs: tuple[float, ...] | None = None
    reference_log_probs: tuple[float, ...] | None = None

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def is_truncated(self) -> bool:
        """Whether it was cut off."""
        return self.finish_reason == "length"

    @property
    def log_prob(self) -> float:
        """Σ log p of the tokens, by the engine that drew them."""
        return math.fsum(self.log_probs)


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
    drawn_log_probs: torch.Tensor  # (R, T) by the engine
    old_log_probs: torch.Tensor  # (R, T) by the model, before training
    reference_log_probs: torch.Tensor  # (R, T); those before training again if there is no reference
    rollouts: torch.Tensor  # (R,) the rollout that a completion is a turn of, numbered from 0
    groups: torch.Tensor  # (R,) the group of that rollout, numbered from 0
    advantages: torch.Tensor  # (R,)
    weights: torch.Tensor  # (R,) loss weight of the completion's group; 0 where nothing may be learned from it
    task_ids: torch.Tensor  # (R,)

    @property
    def layout(self) -> Layout:
        """What the loss wants to know of the rows."""
        return Layout(self.mask, self.rollouts, self.groups)

    @property
    def lengths(self) -> torch.Tensor:
        """(R,) tokens of each completion."""
        return self.mask.sum(dim=1).long()

    @property
    def prompt_lengths(self) -> torch.Tensor:
        """(R,) tokens of the prompt that each completion continues."""
        return self.prompt_mask.sum(dim=1)[self.prompt_index]

    def rows(self, rows: torch.Tensor) -> PackedGroups:
        """These completions, with the prompts they continue, and no more padding than they need."""
        used, index = torch.unique(self.prompt_index[rows], return_inverse=True)
        width, length = int(self.prompt_lengths[rows].max()), max(1, int(self.lengths[rows].max()))
        tables = (self.tokens, self.mask, self.drawn_log_probs, self.old_log_probs, self.reference_log_probs)
        columns = (self.rollouts, self.groups, self.advantages, self.weights, self.task_ids)
        return PackedGroups(
            self.prompts[used, -width:],
            self.prompt_mask[used, -width:],
            index,
            *(table[rows, :length] for table in tables),
            *(column[rows] for column in columns),
        )

    def to(self, device: torch.device) -> PackedGroups:
        """The same on another device."""
        return PackedGroups(*(getattr(self, field.name).to(device) for field in fields(self)))


def pack(
    groups: Sequence[Group],
    weights: FloatArray,
    pad_id: int,
    advantages_of: Callable[[Group], FloatArray] = group_advantages,
) -> PackedGroups:
    """Pack groups, (P,) loss weights beside them; steps' `extras` must be `Completion`s."""
    rows: list[tuple[int, int, float, float, int]] = []
    completions: list[Completion] = []
    num_rollouts = 0
    for i, (group, weight) in enumerate(zip(groups, weights, strict=True)):
        for rollout, advantage in zip(group.rollouts, advantages_of(group), strict=True):
            completions += [step.extras for step in rollout.steps]
            own_weight = float(weight) if rollout.is_learnable else 0.0
            rows += [(num_rollouts, i, float(advantage), own_weight, group.task_id)] * len(rollout.steps)
            num_rollouts += 1
    rollouts, group_ids, advantages, group_weights, task_ids = zip(*rows, strict=True)
    prompts, prompt_index = fold([completion.prompt for completion in completions])
    prompt_ids, prompt_mask = left_padded(prompts, pad_id)
    drawn = [c.log_probs for c in completions]
    old = [c.log_probs if c.old_log_probs is None else c.old_log_probs for c in completions]
    pairs = zip(completions, old, strict=True)
    reference = [before if c.reference_log_probs is None else c.reference_log_probs for c, before in pairs]
    tokens, mask = right_padded([c.tokens for c in completions], np.int64, pad_id)
    columns = (
        prompt_ids,
        prompt_mask,
        np.array(prompt_index),
        tokens,
        mask.astype(np.float32),
        *(right_padded(table, np.float32)[0] for table in (drawn, old, reference)),
        np.array(rollouts),
        np.array(group_ids),
        np.array(advantages, dtype=np.float32),
        np.array(group_weights, dtype=np.float32),
        np.array(task_ids),
    )
    return PackedGroups(*map(torch.as_tensor, columns))


def num_tokens(group: Group) -> int:
    """Tokens generated for a group; steps' `extras` must be `Completion`s."""
    return sum(len(step.extras.tokens) for rollout in group.rollouts for step in rollout.steps)


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


def right_padded(rows: Sequence[Sequence[float]], dtype: type, padding: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """(R, T) values, padding on the right, and where they are not padding."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(max(1, lengths.max())) < lengths[:, None]  # a column at least, if all rows are empty
    values = np.full(mask.shape, padding, dtype=dtype)
    values[mask] = np.concatenate([np.asarray(row, dtype=dtype) for row in rows])
    return values, mask
