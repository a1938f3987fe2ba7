"""Between TRL's tensors and our groups: rounds of completions come in, a batch of whole groups goes out.

Groups hold the rows of TRL's tables as arrays on the CPU: those that are replayed outlive their step, and go into
checkpoints as plain data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from trl.trainer.utils import pad

from mtgrpo_env.batch_metrics import BatchMetrics, task_numbers
from mtgrpo_env.types import Batch, FloatArray, Group, GroupFilter, IntArray, Problem, Rollout, Step

Row = Mapping[str, Any]
"""What TRL knows of one completion, by TRL's names, without padding: arrays and scalars of numpy's."""

CorrectFrom = Callable[[Sequence[float]], bool]
"""Whether a completion is correct, from what each reward function said of it; NaN where one said None."""

LOG_PROBS = "old_per_token_logps"
"""TRL's name for the log-probabilities that a completion was drawn with."""

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
    end_ids: Collection[int],
) -> list[Group]:
    """The groups of a round, in the order of its problems; R completions, F reward functions.

    Args:
        problems: P of them, each with the same number of completions, side by side.
        output: what TRL made of the completions, (R, ...) each.
        rewards: (R, F); NaN where a function said None. A completion of which none said anything is not valid.
        reward_weights: (F,).
        is_correct: decides for each completion.
        end_ids: tokens of which one ends a completion that was not cut off.
    """
    sums = (rewards * reward_weights.to(rewards.device)).nansum(dim=1).tolist()
    rollouts = [
        _rollout(row, total, values, is_correct, end_ids)
        for row, total, values in zip(_rows(output), sums, rewards.tolist(), strict=True)
    ]
    size = len(rollouts) // len(problems)
    return [Group(problem, tuple(rollouts[i * size : (i + 1) * size])) for i, problem in enumerate(problems)]


def check_rewards(rewards: torch.Tensor, reward_weights: torch.Tensor, names: Sequence[str]) -> None:
    """Make sure that something can be made of the rewards: TRL would give a group with an infinite one no advantage.

    Args:
        rewards: (R, F); NaN where a function said None.
        reward_weights: (F,).
        names: of the F functions.

    Raises:
        ValueError: naming the function, if one is infinite, or so large that sums or squares of it are.
    """
    weighted = rewards * reward_weights.to(rewards.device)
    for name, values, sizes in zip(names, rewards.T, weighted.square().T, strict=True):
        if sizes.isinf().any():
            raise ValueError(
                f"expected rewards that are finite, squared and in single precision too, or None, got "
                f"{values[sizes.isinf()][0].item()} from the reward function {name!r}"
            )


def rows_of(groups: Sequence[Group]) -> list[Row]:
    """The completions of these groups, R in all."""
    return [rollout.steps[0].extras for group in groups for rollout in group.rollouts]


def has_log_probs(group: Group) -> bool:
    """Whether its rows bring the log-probabilities that they were drawn with."""
    return LOG_PROBS in group.rollouts[0].steps[0].extras


def with_log_probs(groups: Sequence[Group], log_probs: torch.Tensor) -> list[Group]:
    """The same groups, whose rows bring (R, T) `log_probs`."""
    values = iter(_array(log_probs))
    return [
        replace(group, rollouts=tuple(_with_log_probs(rollout, next(values)) for rollout in group.rollouts))
        for group in groups
    ]


def filled(batch: Batch, generated: Sequence[Group], size: int, group_filter: GroupFilter) -> list[Group]:
    """The batch's groups, and others of those generated up to `size`: without a gradient first."""
    chosen = {id(group) for group in batch.groups}
    spare = sorted((group for group in generated if id(group) not in chosen), key=group_filter)
    return [*batch.groups, *islice(cycle(spare or generated or batch.groups), size - len(batch.groups))]


def tensors_of(
    groups: Sequence[Group], loss_weights: FloatArray, *, pad_token_id: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """The completions of these groups as TRL has them, (R, ...) each, with two more that ride along.

    `task_ids` (R,), and `loss_weights` (R,), which has 0 for groups that have no weight of their own.
    """
    tensors = stacked(rows_of(groups), pad_token_id=pad_token_id, device=device)
    mask = tensors["completion_mask"] * tensors["tool_mask"] if "tool_mask" in tensors else tensors["completion_mask"]
    sizes = torch.tensor([len(group.rollouts) for group in groups])
    weights = torch.zeros(len(groups))
    weights[: len(loss_weights)] = torch.as_tensor(loss_weights, dtype=torch.float32)
    return {
        **tensors,
        "num_items_in_batch": mask.sum(),
        "task_ids": torch.tensor([group.task_id for group in groups]).repeat_interleave(sizes).to(device),
        "loss_weights": weights.repeat_interleave(sizes).to(device),
    }


def stacked(rows: Sequence[Row], *, pad_token_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """(R, ...) the columns of these rows, padded as TRL pads them.

    Raises:
        ValueError: if replayed rows have other columns than those of the round.
    """
    expected = list(rows[0])
    for row in rows:
        if row.keys() != rows[0].keys():
            raise ValueError(f"expected replayed rows as TRL is set up, with {expected}, got rows with {list(row)}")
    return {key: _stacked(key, [row[key] for row in rows], pad_token_id).to(device) for key in expected}


def step_scalars(names: Sequence[str], batch: Batch, measured: Mapping[str, FloatArray]) -> dict[str, float]:
    """What a log takes of a batch beside `Curriculum.metrics`: numbers of what was trained on, and (K,) `measured`."""
    amounts = {"actions": _token_counts(batch), "loss_weights": BatchMetrics.of(batch).loss_weights, **measured}
    numbers = task_numbers(amounts).items()
    return {f"{word}/{name}": float(v) for word, values in numbers for name, v in zip(names, values, strict=True)}


def _token_counts(batch: Batch) -> IntArray:
    """(K,) tokens trained on: of completions, without what tools wrote."""
    tokens = [_trained_tokens(row).sum() for row in rows_of(batch.groups)]
    task_ids = np.repeat(batch.task_ids, [len(group.rollouts) for group in batch.groups])
    return np.bincount(task_ids, weights=tokens, minlength=batch.num_tasks).astype(np.int64)


def _trained_tokens(row: Row) -> Any:
    """(T,) 1 at each token that is trained on, else 0."""
    return row["completion_mask"] * row.get("tool_mask", 1)


def _rollout(
    row: Row, reward: float, rewards: Sequence[float], is_correct: CorrectFrom, end_ids: Collection[int]
) -> Rollout:
    valid, ids = not all(map(math.isnan, rewards)), row["completion_ids"]
    return Rollout(
        (Step(observation=None, action=None, reward=reward, extras=row),),
        reward,
        is_success=valid and bool(is_correct(rewards)),
        valid=valid,
        length=len(ids),
        is_truncated=bool(len(ids)) and int(ids[-1]) not in end_ids,
        is_masked=not _trained_tokens(row).any(),  # by mask_truncated_completions, or where tools wrote it all
    )


def _with_log_probs(rollout: Rollout, log_probs: Any) -> Rollout:
    (step,) = rollout.steps
    extras = {**step.extras, LOG_PROBS: log_probs[: len(step.extras["completion_ids"])].copy()}
    return replace(rollout, steps=(replace(step, extras=extras),))


def _rows(output: Mapping[str, torch.Tensor]) -> list[Row]:
    prompts = output["prompt_mask"].sum(dim=1).tolist()
    completions = output["completion_mask"].sum(dim=1).tolist()
    per_row = {key: _array(value) for key, value in output.items() if key not in _OF_ALL_ROWS}
    return [
        {key: _cut(key, value[i], *lengths).copy() for key, value in per_row.items()}
        for i, lengths in enumerate(zip(prompts, completions, strict=True))
    ]


def _array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()  # which has no bfloat16


def _cut(key: str, value: Any, prompt_length: int, length: int) -> Any:
    if key in _PROMPT:
        return value[len(value) - prompt_length :]
    # A completion that TRL masks because it was truncated has an empty mask, and fills the table.
    return value[:length] if value.ndim and length else value


def _stacked(key: str, values: Sequence[Any], pad_token_id: int) -> torch.Tensor:
    if not values[0].ndim:
        return torch.from_numpy(np.stack(values))
    padding = {"prompt_ids": pad_token_id, "completion_ids": pad_token_id, "tool_mask": 1}.get(key, 0)
    tensors = [torch.from_numpy(value) for value in values]
    return pad(tensors, padding_value=padding, padding_side="left" if key in _PROMPT else "right")
