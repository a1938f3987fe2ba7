"""What prompts have in common at their beginnings, found from their tokens alone.

Prompts of one task share a system prompt and worked examples. U distinct prompts are divided into clusters; what all
prompts of a cluster begin with is computed once, and then the rest of each prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Tokens = tuple[int, ...]

_WORTH_A_PASS = 0.8
"""Of the tokens computed in one pass, padding included, two may have as many: the second launches all kernels again."""
_WIDEST = 1.25
"""Of the width of whole prompts, a beginning and a rest may have as much: keys and values are held of padding too."""


@dataclass(frozen=True, slots=True)
class SplitPrompts:
    """U prompts, each in two: one of C beginnings, and the rest.

    Attributes:
        beginnings: (C,) some may be empty.
        which: (U,) the beginning of each prompt.
        rests: (U,) at least one token each.
    """

    beginnings: tuple[Tokens, ...]
    which: tuple[int, ...]
    rests: tuple[Tokens, ...]


def split_prompts(prompts: Sequence[Tokens]) -> SplitPrompts | None:
    """Distinct prompts by their common beginnings; None where one pass over whole prompts costs about as little.

    >>> split_prompts([(1, 2, 3, 4, 5), (1, 2, 3, 4, 6), (1, 2, 3, 4, 7)])
    SplitPrompts(beginnings=((1, 2, 3, 4),), which=(0, 0, 0), rests=((5,), (6,), (7,)))
    >>> split_prompts([(1, 2, 3), (4, 5, 6)]) is None
    True
    """
    clusters = common_beginnings(prompts)
    cluster_of = {row: cluster for cluster, (members, _) in enumerate(clusters) for row in members}
    which = [cluster_of[row] for row in range(len(prompts))]
    lengths = _cut_lengths(clusters, which, [len(prompt) for prompt in prompts])
    if lengths is None:
        return None
    beginnings = tuple(prompts[members[0]][:length] for (members, _), length in zip(clusters, lengths, strict=True))
    rests = tuple(prompt[lengths[cluster] :] for prompt, cluster in zip(prompts, which, strict=True))
    return SplitPrompts(beginnings, tuple(which), rests)


def _cut_lengths(
    clusters: Sequence[tuple[tuple[int, ...], int]], which: Sequence[int], sizes: Sequence[int]
) -> list[int] | None:
    """(C,) tokens of each beginning, none above the limit with which two padded passes compute the fewest; or None.

    The limit also cuts prompts that are alone in their cluster, so that they widen neither pass.
    """
    common, whole = np.array([length for _, length in clusters]), max(sizes)
    smallest, best = _WORTH_A_PASS * len(sizes) * whole, None
    for limit in {length for members, length in clusters if len(members) > 1}:
        lengths = np.minimum(common, limit)
        of_beginnings, of_rests = int(lengths.max()), int((np.array(sizes) - lengths[which]).max())
        area = len(clusters) * of_beginnings + len(sizes) * of_rests
        if area <= smallest and of_beginnings + of_rests <= _WIDEST * whole:
            smallest, best = area, lengths.tolist()
    return best


def common_beginnings(prompts: Sequence[Tokens]) -> list[tuple[tuple[int, ...], int]]:
    """Clusters of distinct prompts, with the tokens that each computes once: all together compute the fewest.

    Every prompt keeps a token of its own. A cluster is a run of neighbours in lexicographic order, so the tokens it
    has in common are the fewest that two neighbours have. Time grows with U^2, memory with U.

    >>> common_beginnings([(1, 2, 3, 4), (7, 8), (1, 2, 3, 5)])
    [((0, 2), 3), ((1,), 1)]
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    arrays = [np.asarray(prompts[row]) for row in order]
    shared = [0, *(_num_common(*pair) for pair in pairwise(arrays))]  # with the neighbour before
    common = np.zeros(len(order), dtype=np.int64)  # of the run from each start to the current end
    saved = np.zeros(len(order) + 1, dtype=np.int64)  # at best, by the first prompts
    starts: list[tuple[int, int]] = []  # of the best run that ends at each prompt, and what it has in common
    for end, own in enumerate(arrays):
        common[:end] = np.minimum(common[:end], min(shared[end], len(own) - 1))
        common[end] = len(own) - 1
        totals = saved[: end + 1] + common[: end + 1] * np.arange(end, -1, -1)
        start = end - int(totals[::-1].argmax())  # the shortest run of those that save as much
        saved[end + 1] = totals[start]
        starts.append((start, int(common[start])))
    clusters: list[tuple[tuple[int, ...], int]] = []
    end = len(order)
    while end:
        start, length = starts[end - 1]
        clusters.append((tuple(order[start:end]), length))
        end = start
    return clusters[::-1]


def _num_common(first: np.ndarray, second: np.ndarray) -> int:
    """Tokens at the beginning in which two prompts agree."""
    length = min(len(first), len(second))
    differing = np.flatnonzero(first[:length] != second[:length])
    return int(differing[0]) if differing.size else length
