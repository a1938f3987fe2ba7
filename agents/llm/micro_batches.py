"""Which completions run through the model together, on which rank: shares of equal work, in passes that fit in memory.

R completions of rollouts, W ranks. Ranks make the same number of passes, since their engines meet in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from mtgrpo_env.agents.llm.data import PackedGroups


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One pass through the model.

    Attributes:
        rows: (r,) indices of completions.
        counts: whether they count, or only fill a pass that other ranks have to make.
    """

    rows: torch.Tensor
    counts: bool = True


def micro_batches(packed: PackedGroups, *, tokens: int, rank: int, size: int) -> list[MicroBatch]:
    """The passes of one rank; those of all ranks together hold every completion once.

    The turns of a rollout stay together, and the rollouts of a group mostly do, so that they share their prompt.

    Args:
        packed: all completions.
        tokens: of a pass, padding included: the memory it takes. A rollout that has more is a pass of its own.
        rank: whose passes.
        size: W.
    """
    rollouts = _rollouts(packed)
    shares = [_passes(packed, share, tokens) for share in _even_shares(packed, rollouts, size)]
    own = [MicroBatch(torch.as_tensor(rows)) for rows in shares[rank]]
    filler = MicroBatch(torch.as_tensor(rollouts[0]), counts=False)
    return own + [filler] * (max(len(share) for share in shares) - len(own))


def _rollouts(packed: PackedGroups) -> list[list[int]]:
    """The rows of each rollout; group after group, and short before long within a group, which saves padding."""
    rows = sorted(range(len(packed.rollouts)), key=packed.rollouts.tolist().__getitem__)
    rollouts = [list(turns) for _, turns in groupby(rows, key=packed.rollouts.tolist().__getitem__)]
    lengths, groups = packed.lengths.tolist(), packed.groups.tolist()
    return sorted(rollouts, key=lambda turns: (groups[turns[0]], max(lengths[row] for row in turns)))


def _even_shares(packed: PackedGroups, rollouts: Sequence[list[int]], size: int) -> list[list[list[int]]]:
    """Neighbouring rollouts, W times, with about the same number of tokens."""
    lengths = packed.lengths.tolist()
    work = np.cumsum([sum(lengths[row] for row in turns) for turns in rollouts])
    middles = np.concatenate([[0], work[:-1]]) + np.diff(work, prepend=0) / 2
    owners = np.minimum(middles * size / work[-1], size - 1).astype(int)
    return [[turns for turns, owner in zip(rollouts, owners, strict=True) if owner == rank] for rank in range(size)]


def _passes(packed: PackedGroups, rollouts: Sequence[list[int]], tokens: int) -> list[list[int]]:
    """Neighbouring rollouts together as long as they fit."""
    lengths, prompts = packed.lengths.tolist(), packed.prompt_index.tolist()
    prompt_lengths = packed.prompt_lengths.tolist()
    passes: list[list[int]] = []
    for turns in rollouts:
        rows = [*passes[-1], *turns] if passes else turns
        width = max(prompt_lengths[row] for row in rows)
        area = len({prompts[row] for row in rows}) * width + len(rows) * max(lengths[row] for row in rows)
        if passes and area <= tokens:
            passes[-1] = rows
        else:
            passes.append(turns)
    return passes
