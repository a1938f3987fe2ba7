"""Golden traces: what every method does with scripted tasks changes only when somebody means it.

After a change that is meant, `pytest tests/agents/test_method_traces.py --regenerate-golden` writes the
files of tests/golden/methods anew; the change is then reviewed as a diff.

The world has three tasks whose rollouts are correct, or wrong but well-formed, at fixed chances, and a
learner that improves each task by a fixed amount, so that every number in a trace can be worked out.
Checked against the paper's formulas, from the J, I and |A| that the traces show: `mt-grpo` (Subroutine 1 by
AdamW), `mt-grpo@released` (four updates a step by Adam with coupled decay, on sums), `sec-dapo` and
`sec-grpo@released` (Q and its softmax), `gdro` and `dump` (from J, and from |A| and counts), `reg-1e-2` (Subroutine 2),
and the order of the sequential ones.
The tests at the end of this file are those checks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import gymnasium as gym
import numpy as np
import pytest
from fakes import ScriptedPolicy
from gymnasium import spaces

from mtgrpo_env.agents.base import Objectives, OnMinibatch, env_step_counts
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import RECIPES, RunFacts, make_method
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.curriculum import GenerateGroups
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.types import Batch, FloatArray, IntArray

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "methods"
STEPS, BATCH_SIZE, GROUP_SIZE = 8, 12, 4
CHANCES = [(0.5, 0.3), (0.05, 0.5), (0.85, 0.1)]  # of a correct, and of a well-formed wrong rollout, per task
GAINS = np.array([0.04, 0.01, -0.02])  # what each optimiser step adds to the objective of each task


class Outcomes(gym.Env[Any, Any]):
    """One step: action i earns what rollout i of this problem was destined to earn."""

    observation_space = spaces.Discrete(1)
    action_space = spaces.Discrete(GROUP_SIZE)

    def __init__(self, correct: float, formed: float) -> None:
        self.chances = [correct, formed, 1 - correct - formed]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.rewards = self.np_random.choice([1.0, 0.1, 0.0], size=GROUP_SIZE, p=self.chances)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        reward = float(self.rewards[action])
        return 0, reward, True, False, {"is_success": reward == 1}


class Player(ScriptedPolicy):
    """Plays action i in rollout i of each group; has nothing to save."""

    def __init__(self) -> None:
        super().__init__(lambda observation, task_id, place: place % GROUP_SIZE)
        self.rng = np.random.default_rng(0)

    def reseeded(self, seed: int) -> Self:
        return self

    def generating(self) -> AbstractContextManager[object]:
        return nullcontext()

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


class SteadyLearner:
    """Four minibatches in the order of the batch, each worth `GAINS`."""

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def use_clip(self, clip_high: float) -> None: ...

    def update(self, batch: Batch, on_minibatch: OnMinibatch | None = None) -> Mapping[str, float]:
        for indices in np.array_split(np.arange(len(batch.groups)), min(4, len(batch.groups))):
            minibatch = batch.part(indices)
            if on_minibatch is not None:
                sampled = self.sampled_objectives(minibatch)
                on_minibatch(minibatch, Objectives(sampled, sampled))
        return {}

    def objectives(self, batch: Batch) -> FloatArray:
        return np.where(batch.kept > 0, GAINS, np.nan)

    def sampled_objectives(self, batch: Batch) -> FloatArray:
        return np.where(batch.kept > 0, 0.0, np.nan)

    def action_counts(self, batch: Batch) -> IntArray:
        return env_step_counts(batch)

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


Scene = tuple[TrainMetrics, Batch]


@cache
def played(name: str) -> tuple[list[Scene], FloatArray]:
    """The metrics and batches of a scripted run, and z after it."""
    tasks = [Task(f"task-{k}", partial(Outcomes, *chances)) for k, chances in enumerate(CHANCES)]
    method = make_method(name, RunFacts(len(tasks), BATCH_SIZE, num_steps=STEPS))
    agent = MTGRPOAgent(TaskSuite(tasks), Player(), SteadyLearner(), method=method, group_size=GROUP_SIZE)
    batches: list[Batch] = []
    draw = agent.curriculum.draw

    def remembered(roll_out: GenerateGroups) -> Batch:
        batches.append(draw(roll_out))
        return batches[-1]

    agent.curriculum.draw = remembered
    metrics = [agent.train_step() for _ in range(STEPS)]
    return list(zip(metrics, batches, strict=True)), agent.curriculum.probabilities


def trace(name: str) -> str:
    """A page for a person to read: a paragraph for each step."""
    scenes, end = played(name)
    lines: list[str] = []
    for report, batch in scenes:
        lines += [f"step {report.step}", f"  rounds     {report.rounds}"]
        for word, row in {
            "z": report.probabilities,
            "targets": report.targets,
            "generated": report.generated,
            "accepted": report.accepted,
            "kept": report.kept,
            "J": report.rewards,
            "I": report.improvements,
            "mean |A|": batch.mean_abs_advantages,
        }.items():
            lines.append(f"  {word:10} {_numbers(row)}")
    return "\n".join([*lines, "after", f"  {'z':10} {_numbers(end)}", ""])


def _numbers(row: FloatArray | IntArray) -> str:
    if row.dtype.kind == "i":
        return " ".join(f"{int(value):8d}" for value in row)
    return " ".join(f"{value:8.5f}" for value in row)


@pytest.mark.parametrize("name", RECIPES)
def test_a_method_does_what_its_golden_trace_says(name: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--regenerate-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trace(name), encoding="utf-8")
    assert trace(name) == path.read_text(encoding="utf-8")


def test_every_golden_trace_belongs_to_a_method() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(RECIPES)


# The formulas, written out once more


def weights_after_steps(name: str) -> list[list[float]]:
    """What the updates of each step have made of z."""
    scenes, end = played(name)
    return [report.probabilities.tolist() for report, _ in scenes[1:]] + [end.tolist()]


def softmax_of(logits: Sequence[float]) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def descent(signals: Sequence[Sequence[float]], decay: float, *, coupled: bool) -> list[list[float]]:
    """z after each update with s: g_k = z_k (s_k - Σ_j z_j s_j), then a step of Adam at .025, number by number."""
    logits, mean, square = ([0.0] * 3 for _ in range(3))
    path: list[list[float]] = []
    for t, signal in enumerate(signals, start=1):
        z = softmax_of(logits)
        expected = sum(z[k] * signal[k] for k in range(3))
        for k in range(3):
            gradient = z[k] * (signal[k] - expected) + (decay * logits[k] if coupled else 0)
            mean[k] = 0.9 * mean[k] + 0.1 * gradient
            square[k] = 0.999 * square[k] + 0.001 * gradient**2
            step = mean[k] / (1 - 0.9**t) / (math.sqrt(square[k] / (1 - 0.999**t)) + 1e-8)
            logits[k] -= 0.025 * (step + (0 if coupled else decay * logits[k]))
        path.append(softmax_of(logits))
    return path


def clipped(value: float) -> float:
    return min(max(value, -0.1), 0.1)


def test_the_papers_weights_are_subroutine_1_by_adamw() -> None:
    """s = I + .2 J, I within ±.1, decay 1e-5 on the logits themselves; whatever the sampler."""
    for name in ("mt-grpo", "iwu-only", "no-acceptance"):
        scenes, _ = played(name)
        signals = [[clipped(r.improvements[k]) + 0.2 * r.rewards[k] for k in range(3)] for r, _ in scenes]
        np.testing.assert_allclose(weights_after_steps(name), descent(signals, 1e-5, coupled=False))


def test_the_papers_regularised_weights_are_subroutine_2() -> None:
    for name, decay in (("reg-1e-5", 1e-5), ("reg-5e-4", 5e-4), ("reg-1e-2", 1e-2)):
        signals = [report.rewards.tolist() for report, _ in played(name)[0]]
        np.testing.assert_allclose(weights_after_steps(name), descent(signals, decay, coupled=False))


@pytest.mark.parametrize(("name", "decay"), [("mt-grpo", 1e-5), ("iwu-only", 1e-5), ("reg-1e-2", 1e-2)])
def test_the_released_weights_move_four_times_a_step_on_sums_and_on_average_accuracy(name: str, decay: float) -> None:
    """A task with c of a minibatch's groups has I = 4 c gain, within ±.1; J is the half-way average of its rounds."""
    scenes, _ = played(f"{name}@released")
    signals: list[list[float]] = []
    ends: list[int] = []
    rewards = [0.0] * 3
    for report, batch in scenes:
        for of_round in batch.round_accuracies:
            rewards = [j if math.isnan(a) else (j + a) / 2 for j, a in zip(rewards, of_round, strict=True)]
        np.testing.assert_allclose(report.rewards, rewards)
        for part in np.array_split(batch.task_ids, min(4, len(batch.groups))):
            gains = [clipped(4 * int((part == k).sum()) * GAINS[k]) for k in range(3)]
            used = 0.0 if name.startswith("reg") else 1.0
            signals.append([used * gains[k] + 0.2 * rewards[k] for k in range(3)])
        ends.append(len(signals) - 1)
    path = descent(signals, decay, coupled=True)
    np.testing.assert_allclose(weights_after_steps(f"{name}@released"), [path[end] for end in ends])


def mean_abs_advantages(batch: Batch, k: int) -> float:
    """Of a batch that holds all that was generated: mean over rollouts of |r - mean r| / std r."""
    total, count = 0.0, 0
    for group in batch.groups:
        if group.task_id == k:
            rewards = group.rewards.tolist()
            mean = sum(rewards) / len(rewards)
            spread = math.sqrt(sum((r - mean) ** 2 for r in rewards) / len(rewards))
            total += sum(abs(r - mean) / spread for r in rewards) if spread > 1e-8 else 0.0
            count += len(rewards)
    return total / count if count else math.nan


@pytest.mark.parametrize("name", ["sec-grpo", "sec-grpo@released", "sec-dapo"])
def test_the_bandit_averages_the_advantages_and_takes_the_softmax(name: str) -> None:
    """Q ← (Q + |A|) / 2, z = softmax(5 Q); an absent task keeps its Q in the paper, is paid 0 in the released code."""
    values, expected = [0.0] * 3, []
    for _, batch in played(name)[0]:
        for k in range(3):
            pay = mean_abs_advantages(batch, k) if name != "sec-dapo" else float(batch.mean_abs_advantages[k])
            if not math.isnan(pay):
                values[k] = (values[k] + pay) / 2
            elif name.endswith("@released"):
                values[k] /= 2
        expected.append(softmax_of([5 * value for value in values]))
    np.testing.assert_allclose(weights_after_steps(name), expected)


def test_gdro_sums_what_tasks_lack_and_explores_with_a_tenth() -> None:
    """ξ ← ξ + .1 (1 - J); z is .9 softmax(ξ) and a thirtieth each."""
    scenes, _ = played("gdro")
    lacks = np.cumsum([1 - report.rewards for report, _ in scenes], axis=0)
    expected = [[0.9 * z + 0.1 / 3 for z in softmax_of((0.1 * lack).tolist())] for lack in lacks]
    np.testing.assert_allclose(weights_after_steps("gdro"), expected)


def test_dump_adds_to_the_mean_advantage_what_a_task_was_seen_too_little() -> None:
    """Eight steps of 12 groups of 4 are 384 rollouts, fewer of each task than its window of 300."""
    counts, sums, expected = [0] * 3, [0.0] * 3, []
    for _, batch in played("dump")[0]:
        for k in range(3):
            n = GROUP_SIZE * int(batch.generated[k])
            counts[k] += n
            sums[k] += n * mean_abs_advantages(batch, k) if n else 0.0
        bonus = [math.sqrt(2 * math.log(sum(counts) + 1) / (count + 1)) for count in counts]
        expected.append(softmax_of([10 * (sums[k] / max(counts[k], 1) + bonus[k]) for k in range(3)]))
    np.testing.assert_allclose(weights_after_steps("dump"), expected)
    assert max(counts) <= 300


@pytest.mark.parametrize("source", ["", "@released"])
def test_the_sequential_methods_give_each_task_a_third_of_eight_steps(source: str) -> None:
    for name, order in (
        ("sequential-forward", [0, 0, 0, 1, 1, 1, 2, 2]),
        ("sequential-backward", [2, 2, 2, 1, 1, 1, 0, 0]),
    ):
        scenes, _ = played(f"{name}{source}")
        assert [int(report.probabilities.argmax()) for report, _ in scenes] == order
        assert all((report.generated > 0).sum() == 1 for report, _ in scenes)


def test_algorithm_2_keeps_at_least_what_each_task_was_promised_and_fills_up_to_b() -> None:
    for report, _ in played("mt-grpo")[0]:
        assert report.targets.sum() == BATCH_SIZE
        assert (report.kept >= np.minimum(report.targets, report.accepted)).all()
        assert report.kept.sum() == min(BATCH_SIZE, report.accepted.sum())
        assert report.generated.sum() == 3 * BATCH_SIZE * report.rounds
