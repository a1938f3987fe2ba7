"""What an agent scores on a problem set: avg@n and pass@k of every task, of the worst and on average."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtgrpo_env.agents.reports.statistics import LEVEL, Interval
from mtgrpo_env.metrics import average, averages, worst_task, worst_tasks
from mtgrpo_env.types import FloatArray, Group, IntArray

_DRAWS = 4000
_UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one response of a language model.

    Attributes:
        prompt_tokens: read.
        completion_tokens: generated.
        truncated: whether it ended at the limit of its length.
        empty: why there is none, in a word, such as "refused" or "filtered"; "" if there is one.
    """

    prompt_tokens: int
    completion_tokens: int
    truncated: bool = False
    empty: str = ""


@dataclass(frozen=True, slots=True)
class TaskScore:
    """What an agent scores on the P problems of a task.

    Attributes:
        task: its name.
        accuracy: avg@n, the mean over problems of the share of correct rollouts.
        pass_at: for some k, the chance that one of k rollouts is correct.
        reward: mean return of a rollout.
        problems: with a valid rollout.
        rollouts: that are valid.
        invalid: rollouts left out because the scorer failed.
        left_out: problems that were not played.
    """

    task: str
    accuracy: Interval
    pass_at: Mapping[int, Interval]
    reward: float
    problems: int
    rollouts: int
    invalid: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class WorstAndAverage:
    """What several tasks come to.

    Attributes:
        worst: accuracy of the worst task, with the interval of the minimum over resampled problems. Of tasks that are
            close it lies low: the minimum of noisy numbers is lower than the least of them.
        average: of the tasks' accuracies.
    """

    worst: Interval
    average: Interval


@dataclass(frozen=True, slots=True)
class Scores:
    """What an agent scores on a problem set.

    Attributes:
        tasks: worst first, before them those without a valid rollout, whose accuracy is NaN.
        total: of all tasks.
        levels: of the tasks of each level, where there are several levels and more tasks than levels.
        usage: over all responses; None for an agent that generates no tokens.
    """

    tasks: Sequence[TaskScore]
    total: WorstAndAverage
    levels: Mapping[str, WorstAndAverage]
    usage: TotalTokenUsage | None

    @property
    def worst(self) -> Interval:
        """Of all tasks; see `WorstAndAverage`."""
        return self.total.worst

    @property
    def average(self) -> Interval:
        """Of all tasks; see `WorstAndAverage`."""
        return self.total.average


@dataclass(frozen=True, slots=True)
class TotalTokenUsage:
    """Sums over responses; see `TokenUsage`. `empty` counts by the reason."""

    responses: int
    prompt_tokens: int
    completion_tokens: int
    cut: int
    empty: Mapping[str, int]


class Scorer:
    """Takes the groups of a problem set as they are played, and scores them.

    Args:
        names: of the K tasks.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._correct: list[list[int]] = [[] for _ in names]  # of each problem of each task
        self._valid: list[list[int]] = [[] for _ in names]
        self._rewards = np.zeros(len(names))
        self._invalid = np.zeros(len(names), dtype=np.int64)
        self._left_out = np.zeros(len(names), dtype=np.int64)
        self._usage: list[TokenUsage] = []

    def leave_out(self, task: str) -> None:
        """A problem of a task was not played."""
        self._left_out[self._names.index(task)] += 1

    def add(self, group: Group, usage: Sequence[TokenUsage] = ()) -> None:
        """A problem was played; `usage` is of each response."""
        k = group.task_id
        self._usage += usage
        self._invalid[k] += (~group.valid).sum()
        if group.valid.any():
            self._correct[k].append(int(group.successes[group.valid].sum()))
            self._valid[k].append(int(group.valid.sum()))
            self._rewards[k] += group.rewards[group.valid].sum()

    def scores(self, levels: Mapping[str, str] | None = None, *, seed: int = 0) -> Scores:
        """Of what was played; NaN where nothing is known.

        Intervals are over problems (see `posterior_means`), drawn from `seed`.

        Args:
            levels: of the tasks that have one, by their names.
            seed: of the draws.
        """
        rng = np.random.default_rng(seed)
        played = [k for k in range(len(self._names)) if self._valid[k]]
        tasks = [self._task(k, rng) for k in played]
        unknown = [
            self._unknown_task(k) for k in np.flatnonzero(self._invalid + self._left_out).tolist() if not self._valid[k]
        ]
        total = self._worst_and_average(played, rng)
        of_level: dict[str, list[int]] = {}
        for k in played:
            if level := (levels or {}).get(self._names[k]):
                of_level.setdefault(level, []).append(k)
        tells_more = 1 < len(of_level) < sum(map(len, of_level.values()))
        return Scores(
            tasks=[*unknown, *sorted(tasks, key=lambda task: task.accuracy.mean)],
            total=total,
            levels={name: self._worst_and_average(ks, rng) for name, ks in of_level.items() if tells_more},
            usage=self._total_usage(),
        )

    def _worst_and_average(self, played: Sequence[int], rng: np.random.Generator) -> WorstAndAverage:
        if not played:
            return WorstAndAverage(_UNKNOWN, _UNKNOWN)
        shares = [self._shares(k) for k in played]
        means = np.array([of_task.mean() for of_task in shares])
        draws, even_draws = (
            np.stack([posterior_means(of_task, rng, added=added) for of_task in shares], axis=1)  # (R, K)
            for added in (0.5, 0.5 / len(shares))  # or the average would be drawn towards the middle by every task
        )
        lowest = [_room([len(of_task)]) for of_task in shares if of_task.mean() == means.min()]
        return WorstAndAverage(
            worst=_interval(worst_task(means), worst_tasks(draws), max(lowest) if means.min() == 1 else min(lowest)),
            average=_interval(average(means), averages(even_draws), _room([len(of_task) for of_task in shares])),
        )

    def _task(self, k: int, rng: np.random.Generator) -> TaskScore:
        correct, valid = np.array(self._correct[k]), np.array(self._valid[k])
        pass_at = {many: pass_at_k(correct, valid, many) for many in _powers_of_two(int(valid.min()))}
        return TaskScore(
            task=self._names[k],
            accuracy=_mean_interval(self._shares(k), rng),
            pass_at={many: _mean_interval(chances, rng) for many, chances in pass_at.items()},
            reward=float(self._rewards[k] / valid.sum()),
            problems=len(valid),
            rollouts=int(valid.sum()),
            invalid=int(self._invalid[k]),
            left_out=int(self._left_out[k]),
        )

    def _unknown_task(self, k: int) -> TaskScore:
        return TaskScore(self._names[k], _UNKNOWN, {}, math.nan, 0, 0, int(self._invalid[k]), int(self._left_out[k]))

    def _shares(self, k: int) -> FloatArray:
        """(P,) share of correct rollouts of each problem."""
        return np.array(self._correct[k]) / np.array(self._valid[k])

    def _total_usage(self) -> TotalTokenUsage | None:
        if not self._usage:
            return None
        return TotalTokenUsage(
            responses=len(self._usage),
            prompt_tokens=sum(one.prompt_tokens for one in self._usage),
            completion_tokens=sum(one.completion_tokens for one in self._usage),
            cut=sum(one.truncated for one in self._usage),
            empty=dict(sorted(Counter(one.empty for one in self._usage if one.empty).items())),
        )


def pass_at_k(correct: IntArray, rollouts: IntArray, k: int) -> FloatArray:
    """(P,) chance that one of k rollouts is correct: 1 - C(n - c, k) / C(n, k), which is unbiased.

    Args:
        correct: (P,) c, correct rollouts of each problem.
        rollouts: (P,) n of each problem, at least k.
        k: rollouts one would draw.

    >>> pass_at_k(np.array([0, 1, 4]), np.array([4, 4, 4]), 2).tolist()
    [0.0, 0.5, 1.0]
    """
    assert (rollouts >= k).all(), "pass@k needs k rollouts of every problem"
    drawn = np.arange(k)
    wrong = rollouts - correct
    # Of wrong ones, a draw is left with wrong - i of rollouts - i; nothing is left once all wrong ones are drawn.
    left = np.maximum(wrong[:, None] - drawn, 0) / (rollouts[:, None] - drawn)  # (P, k)
    return 1.0 - left.prod(axis=1)


def _powers_of_two(most: int) -> Iterator[int]:
    """2, 4, 8, … and `most` itself; pass@1 is avg@n."""
    k = 2
    while k < most:
        yield k
        k *= 2
    if most > 1:
        yield most


def posterior_means(values: FloatArray, rng: np.random.Generator, *, added: float = 0.5) -> FloatArray:
    """(R,) draws of what the mean over all problems may be, given the values of some, each in 0..1.

    The Bayesian bootstrap, which weighs the problems at random, with half a solved problem and half an unsolved one
    added. Of problems that are right or wrong this is Jeffreys' posterior, whose intervals cover the truth about as
    often as they say for any number of problems (Brown, Cai and DasGupta 2001). Resampling alone knows nothing of the
    problems that were not met: of 99 right of 100 it says [97, 100], where this says [95, 99.8].

    Args:
        values: (P,) of the problems.
        rng: of the draws.
        added: how much of a solved problem, and of an unsolved one.

    >>> draws = posterior_means(np.array([1.0] * 9 + [0.0]), np.random.default_rng(0))
    >>> np.quantile(draws, [0.025, 0.975]).round(2).tolist()
    [0.61, 0.99]
    """
    kinds, counts = np.unique(np.append(values, [0.0, 1.0]), return_counts=True)  # as many weights as there are values
    is_added = (kinds == 0) | (kinds == 1)
    weights = rng.standard_gamma(counts - (1 - added) * is_added, size=(_DRAWS, len(kinds)))
    return weights @ kinds / weights.sum(axis=1)


def _mean_interval(values: FloatArray, rng: np.random.Generator) -> Interval:
    return _interval(float(values.mean()), posterior_means(values, rng), _room([len(values)]))


def _room(problems: Sequence[int]) -> float:
    """How far from 1 the average of tasks may be of which all problems were solved: Clopper and Pearson's end.

    It is the most that leaves such a sample a chance of 2.5 %, with what is unsolved where it shows least: in the tasks
    with few problems.

    Args:
        problems: of each task; P_k.
    """
    fewest_first = sorted(problems)
    for active in range(1, len(problems) + 1):
        few = np.array(fewest_first[:active], dtype=np.float64)
        # max Σ P_k log(1 - x_k) for a given Σ x_k: P_k / (1 - x_k) is one number, `level`, wherever x_k > 0
        level = math.exp(((few * np.log(few)).sum() - math.log((1 - LEVEL) / 2)) / few.sum())
        if active == len(problems) or fewest_first[active] >= level:
            return float((1 - few / level).sum() / len(problems))
    raise AssertionError("unreachable")


def _interval(mean: float, draws: FloatArray, room: float) -> Interval:
    """Percentiles of the draws; where all problems were solved, or none, the far end leaves `room`."""
    if mean in (0, 1):
        return Interval(mean, 1 - room if mean else 0.0, 1.0 if mean else room)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(mean, min(low, mean), max(high, mean))
