"""Between TRL's tensors and our groups: rounds of completions come in, a batch of whole groups and its log go out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from trl.trainer.utils import pad

from mtgrpo_env.shares import prompt, totals
from mtgrpo_env.types import Batch, FloatArray, Group, GroupFilter, Problem, Rollout, Step

Row = Mapping[str, torch.Tensor]
"""What TRL knows of one completion, by TRL's names, without padding."""

CorrectFrom = Callable[[Sequence[float]], bool]
"""Whether a completion is correct, from what each reward function said of it; NaN where one said None."""

_PROMPT = ("prompt_ids", "prompt_mask")
_OF_ALL_ROWS = ("num_items_in_batch",)
_ROUNDING = 1e-6  # rewards are float32: 0.9 comes as 0.89999998


def first_reward_at_least(threshold: float) -> CorrectFrom:
    """Correct is what the first reward function gives at least `threshold`."""
    return lambda rewards: rewards[0] >= threshold - _ROUNDING


def groups_of(
    problems: Sequence[Problem],
    output: Mapping[str, torch.Tensor],
    rewards: torch.Tensor,
    reward_weights: torch.Tensor,
    is_correct: CorrectFrom,
) -> list[Group]:
    """The groups of a round, in the order of its problems; R completions, F reward functions.

    Args:
        problems: P of them, each with the same number of completions, side by side.
        output: what TRL made of the completions, (R, ...) each.
        rewards: (R, F); NaN where a function said None. A completion of which none said anything is not valid.
        reward_weights: (F,).
        is_correct: decides for each completion.
    """
    sums = (rewards * reward_weights.to(rewards.device)).nansum(dim=1).tolist()
    rollouts = [
        _rollout(row, total, values, is_correct)
        for row, total, values in zip(_rows(output), sums, rewards.tolist(), strict=True)
    ]
    size = len(rollouts) // len(problems)
    return [Group(problem, tuple(rollouts[i * size : (i + 1) * size])) for i, problem in enumerate(problems)]


def filled(batch: Batch, generated: Sequence[Group], size: int, group_filter: GroupFilter) -> list[Group]:
    """The batch's groups, and others of those generated up to `size`: without a gradient first."""
    chosen = {id(group) for group in batch.groups}
    spare = sorted((group for group in generated if id(group) not in chosen), key=group_filter)
    return [*batch.groups, *islice(cycle(spare or generated), size - len(batch.groups))]


def tensors_of(groups: Sequence[Group], loss_weights: Sequence[float], *, pad_token_id: int) -> dict[str, torch.Tensor]:
    """The completions of these groups as TRL has them, (R, ...) each, with two more that ride along.

    `task_ids` (R,), and `loss_weights` (R,), which has 0 for groups that have no weight of their own.
    """
    rows: list[Row] = [rollout.steps[0].extras for group in groups for rollout in group.rollouts]
    device = rows[0]["advantages"].device
    sizes = torch.tensor([len(group.rollouts) for group in groups])
    weights = torch.zeros(len(groups))
    weights[: len(loss_weights)] = torch.as_tensor(loss_weights, dtype=torch.float32)
    tensors = {key: _stacked(key, [row[key] for row in rows], pad_token_id) for key in rows[0]}
    mask = tensors["completion_mask"] * tensors["tool_mask"] if "tool_mask" in tensors else tensors["completion_mask"]
    return {
        **tensors,
        "num_items_in_batch": mask.sum(),
        "task_ids": torch.tensor([group.task_id for group in groups]).repeat_interleave(sizes).to(device),
        "loss_weights": weights.repeat_interleave(sizes).to(device),
    }


def step_metrics(names: Sequence[str], batch: Batch, z: FloatArray, group_filter: GroupFilter) -> dict[str, float]:
    """What a batch adds to TRL's log: scalars by name, those of a task as "what/task".

    NaN, which TRL leaves out of its means, for a task that was not generated. `realised_share` is of the informative
    groups, as the loss weighs them: the others have no gradient.
    """
    informative = batch.part([i for i, group in enumerate(batch.groups) if group_filter(group)])
    trained = totals(informative, prompt)
    with np.errstate(invalid="ignore"):
        filter_rates = 1 - batch.accepted / batch.generated
    per_task = {
        "task_weight": z,
        "target_share": batch.targets / batch.targets.sum(),
        "realised_share": trained / (trained.sum() or 1),
        "reward": batch.rewards,
        "train_accuracy": batch.accuracies,
        "filter_rate": filter_rates,
    }
    known = batch.accuracies[~np.isnan(batch.accuracies)]
    return {
        **{f"{word}/{name}": float(v) for word, of in per_task.items() for name, v in zip(names, of, strict=True)},
        "train_accuracy/worst_task": float(known.min()) if known.size else float("nan"),
        "rounds": float(batch.rounds),
        "generated_groups": float(batch.generated.sum()),
        "informative_groups": float(len(informative.groups)),
    }


def _rollout(row: Row, reward: float, rewards: Sequence[float], is_correct: CorrectFrom) -> Rollout:
    valid = not all(map(math.isnan, rewards))
    step = Step(observation=None, action=None, reward=reward, extras=row)
    return Rollout((step,), reward, is_success=valid and bool(is_correct(rewards)), valid=valid)


def _rows(output: Mapping[str, torch.Tensor]) -> list[Row]:
    prompts = output["prompt_mask"].sum(dim=1).tolist()
    completions = output["completion_mask"].sum(dim=1).tolist()
    per_row = {key: value for key, value in output.items() if key not in _OF_ALL_ROWS}
    return [
        {key: _cut(key, value[i], *lengths) for key, value in per_row.items()}
        for i, lengths in enumerate(zip(prompts, completions, strict=True))
    ]


def _cut(key: str, value: torch.Tensor, prompt_length: int, length: int) -> torch.Tensor:
    if key in _PROMPT:
        return value[len(value) - prompt_length :]
    # A completion that TRL masks because it was truncated has an empty mask, and fills the table.
    return value[:length] if value.ndim and length else value


def _stacked(key: str, values: Sequence[Any], pad_token_id: int) -> torch.Tensor:
    if not values[0].ndim:
        return torch.stack(list(values))
    padding = {"prompt_ids": pad_token_id, "completion_ids": pad_token_id, "tool_mask": 1}.get(key, 0)
    return pad(list(values), padding_value=padding, padding_side="left" if key in _PROMPT else "right")
