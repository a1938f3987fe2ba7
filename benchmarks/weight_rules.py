"""Which rule for the task weights leaves solved tasks, and tasks out of reach, and what that is worth: no model.

    python benchmarks/weight_rules.py            # writes benchmarks/results/weight_rules.md and .png

A task's accuracy is a logistic curve, up to a ceiling, of the training that the task got: its share of each batch,
summed over steps. The curve never falls. A rule sees what it would see in training: successes of 32 groups of 8
rollouts in the ratio of its z, none of an absent task, the mean |A| of these rollouts, and the gain of the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console

from mtgrpo_env.logit_optimizers import GradientDescent
from mtgrpo_env.plans import systematic
from mtgrpo_env.recent_shares import RecentShares
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import SelfEvolvingWeights
from mtgrpo_env.task_weights_floored import GapWeights, ProgressWeights, VarianceWeights
from mtgrpo_env.task_weights_literature import DUMPWeights, GDROWeights
from mtgrpo_env.types import FloatArray, TaskStats

RESULTS = Path(__file__).parent / "results"
WORLDS, STEPS, BATCH, GROUP = 200, 60, 32, 8
SOLVED, OUT_OF_REACH = 0.95, 0.1
LAST = 10  # steps that count as the end, for shares of the batch

GDRO = "GDRO"
DEFAULT = "disparity, floor .25, κ 2 (default)"
CALM = "disparity, floor .7, κ 3"
CALM_CEILING = "disparity, floor .7, κ 3, solved at .95"
CEILING = "disparity, floor .25, κ 2, solved at .95"
RULES: Mapping[str, Callable[[int], TaskWeights]] = {
    "uniform": UniformWeights,
    DEFAULT: DisparityWeights,
    CALM: lambda k: DisparityWeights(k, floor=0.7, strength=3.0),
    CEILING: lambda k: DisparityWeights(k, solved=SOLVED),
    CALM_CEILING: lambda k: DisparityWeights(k, floor=0.7, strength=3.0, solved=SOLVED),
    "gap, floor .25": GapWeights,
    "variance, floor .25": VarianceWeights,
    "learning progress, floor .25": ProgressWeights,
    "SEC": SelfEvolvingWeights,
    GDRO: GDROWeights,
    "DUMP": DUMPWeights,
    "Subroutine 1, gradient descent, λ .9, β 4": lambda k: ImprovementAwareWeights(
        k, reward_coef=0.9, optimizer=GradientDescent(4.0)
    ),
    "Subroutine 1, Adam, λ .2, β .025": ImprovementAwareWeights,
}
ORACLE = "oracle, greedy for the worst task"
COMPARED = (CEILING, CALM, CALM_CEILING, GDRO)
LEAVES_THE_RARE = ("variance, floor .25", "learning progress, floor .25", "SEC", "DUMP")
MEASURES = ("worst, end", "worst, mean of steps", "average, end", "average, mean of steps")


@dataclass(frozen=True)
class World:
    """K tasks: accuracy = ceiling / (1 + exp(-(start + rate x))), where x is the task's share of the batch, summed."""

    starts: FloatArray  # (K,) logits below the ceiling
    rates: FloatArray
    ceilings: FloatArray

    @property
    def can_be_learned(self) -> NDArray[np.bool_]:
        """(K,) tasks that the worst is taken of."""
        return self.rates > 0

    def accuracies(self, trained: FloatArray) -> FloatArray:
        """(..., K) after (..., K) of training."""
        return self.ceilings / (1 + np.exp(-(self.starts + self.rates * trained)))

    def measures(self, path: FloatArray) -> FloatArray:
        """(..., 4) in points, of (..., steps, K) accuracies after each step."""
        worst, average = path[..., self.can_be_learned].min(-1), path.mean(-1)
        return 100 * np.stack([worst[..., -1], worst.mean(-1), average[..., -1], average.mean(-1)], -1)


def make_world(num_tasks: int, seed: int) -> World:
    """One rare task; of the others a quarter is solved at once and a sixth out of reach, on average.

    At even shares a task gains 1 to 4 in its logit over the run, whatever K.
    """
    rng = np.random.default_rng([num_tasks, seed])
    kinds = rng.choice(["solved", "out of reach", "plain"], num_tasks, p=[1 / 4, 1 / 6, 7 / 12])
    kinds[0] = "rare"
    ceilings = np.where(kinds == "plain", rng.uniform(0.6, 1.0, num_tasks), 1.0)
    accuracies = np.select(
        [kinds == "solved", kinds == "rare", kinds == "out of reach"],
        [rng.uniform(0.93, 0.99, num_tasks), 0.02, OUT_OF_REACH],
        rng.uniform(0.1, 0.5, num_tasks),
    )
    gains = np.where(kinds == "out of reach", 0.0, rng.uniform(1, 4, num_tasks))
    starts = np.log(accuracies / (ceilings - accuracies))
    return World(starts, gains * num_tasks / STEPS, ceilings)


@dataclass(frozen=True)
class Run:
    """What a rule made of a world."""

    path: FloatArray  # (steps, K) accuracies after each step
    z: FloatArray  # (steps, K)


def play(world: World, rule: TaskWeights, rng: np.random.Generator) -> Run:
    """Train by a rule, which sees the noise of a batch."""
    num_tasks = rule.num_tasks
    trained, rewards = np.zeros(num_tasks), np.zeros(num_tasks)
    recent = RecentShares(num_tasks, memory=16.0, prior_trials=1.0)  # as `RecentAccuracy`
    path, weights = [], []
    for _ in range(STEPS):
        z = rule.probabilities
        groups = systematic(rng, BATCH * z)
        before = world.accuracies(trained)
        trained = trained + groups / BATCH
        after = world.accuracies(trained)
        observed, pay = observe(before, groups, rng)
        recent.observe(groups, groups * np.nan_to_num(observed))
        rewards = np.where(groups > 0, observed, rewards)  # as `LatestReward`
        improvements = (after - before) / np.sqrt(before * (1 - before))  # E[ratio A], exact for one success rate
        standing = recent.estimates if rule.uses_accuracy else rewards
        rule.update(TaskStats(standing, improvements, pay, groups * GROUP))
        path.append(after)
        weights.append(z)
    return Run(np.array(path), np.array(weights))


def observe(
    accuracies: FloatArray, groups: NDArray[np.int64], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """(K,) accuracy and mean |A| of each task's groups; NaN where there are none."""
    tasks = np.repeat(np.arange(len(groups)), groups)
    shares = rng.binomial(GROUP, accuracies[tasks]) / GROUP  # of successes, in each group
    absolute = 2 * np.sqrt(shares * (1 - shares))  # mean |A|
    counts = np.where(groups > 0, groups, np.nan)
    found = (np.bincount(tasks, weights=values, minlength=len(groups)) / counts for values in (shares, absolute))
    accuracy, pay = found
    return accuracy, pay


def best_fixed(world: World, start: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(4,) the most that a ratio which never moves attains of each measure.

    Of 800 ratios and `start` (K,), the best, and then of ratios ever nearer to the best so far.
    """
    num_tasks = len(world.starts)
    steps = np.arange(1, STEPS + 1)[:, None]

    def measured(ratios: FloatArray) -> FloatArray:
        return world.measures(world.accuracies(ratios[:, None, :] * steps))

    ratios = np.concatenate([start[None], *(rng.dirichlet(np.full(num_tasks, a), 400) for a in (0.4, 1.5))])
    found = measured(ratios)
    best, chosen = found.max(0), ratios[found.argmax(0)]  # (4,), (4, K)
    for scale in (0.5, 0.3, 0.2, 0.1, 0.05, 0.03):
        for m in range(len(MEASURES)):
            near = (chosen[m] + 1e-3) * np.exp(rng.normal(0, scale, (40, num_tasks)))
            near /= near.sum(1, keepdims=True)
            values = measured(near)[:, m]
            if values.max() > best[m]:
                best[m], chosen[m] = values.max(), near[values.argmax()]
    return best


def greedy(world: World, *, parts: int = 8) -> Run:
    """Each eighth of a batch goes to the lowest task that can still gain a point: accuracies and ceilings are known."""
    trained, path, weights = np.zeros(len(world.starts)), [], []
    for _ in range(STEPS):
        before = trained.copy()
        for _ in range(parts):
            now = world.accuracies(trained)
            can_gain = world.can_be_learned & (now < world.ceilings - 0.01)
            trained[np.where(can_gain, now, 2 - now).argmin()] += 1 / parts
        path.append(world.accuracies(trained))
        weights.append(trained - before)
    return Run(np.array(path), np.array(weights))


@dataclass(frozen=True)
class Study:
    """Worlds of K tasks; regret is what the best ratio, or the oracle, attains less what the rule does, in points."""

    title: str
    measures: Mapping[str, FloatArray]  # (worlds, 4) of each rule and of the oracle
    fixed: FloatArray  # (worlds, 4) of the best fixed ratio
    idle: Mapping[str, FloatArray]  # (worlds, 2) share of the last batches on solved tasks, on tasks out of reach
    all_learnable: NDArray[np.bool_]  # (worlds,)

    def regret(self, name: str) -> FloatArray:
        """(worlds, 4) against the best fixed ratio."""
        return self.fixed - self.measures[name]

    def where_all_can_be_learned(self) -> Study:
        """The worlds without a task out of reach."""
        rows = self.all_learnable
        measures = {name: values[rows] for name, values in self.measures.items()}
        idle = {name: values[rows] for name, values in self.idle.items()}
        return Study(f"{self.title}, no task out of reach", measures, self.fixed[rows], idle, rows[rows])


def study(num_tasks: int) -> Study:
    """Every rule in every world."""
    measures: dict[str, list[FloatArray]] = {name: [] for name in (*RULES, ORACLE)}
    idle: dict[str, list[FloatArray]] = {name: [] for name in RULES}
    worlds = [make_world(num_tasks, seed) for seed in range(WORLDS)]
    fixed = []
    for seed, world in enumerate(worlds):
        for name, make in RULES.items():
            run = play(world, make(num_tasks), np.random.default_rng([seed, 1]))
            measures[name].append(world.measures(run.path))
            idle[name].append(idle_shares(world, run))
        oracle = greedy(world)
        measures[ORACLE].append(world.measures(oracle.path))
        fixed.append(best_fixed(world, oracle.z.mean(0), np.random.default_rng([seed, 2])))
    return Study(
        f"K = {num_tasks}",
        {name: np.array(rows) for name, rows in measures.items()},
        np.array(fixed),
        {name: np.array(rows) for name, rows in idle.items()},
        np.array([world.can_be_learned.all() for world in worlds]),
    )


def idle_shares(world: World, run: Run) -> FloatArray:
    """(2,) share of the last batches on solved tasks and on tasks out of reach; NaN where there is none."""
    solved = world.can_be_learned & (run.path[-LAST] >= SOLVED)
    kinds = (solved, ~world.can_be_learned)
    return np.array([run.z[-LAST:, kind].sum(1).mean() if kind.any() else np.nan for kind in kinds])


def interval(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and half of its 95 % interval over worlds; (worlds, 4)."""
    return values.mean(0), 1.96 * values.std(0, ddof=1) / np.sqrt(len(values))


def shown(values: FloatArray) -> list[str]:
    return [f"{mean:.1f} ± {half:.1f}" for mean, half in zip(*interval(values), strict=True)]


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))


def against_fixed(found: Study) -> str:
    rows = []
    for name in found.measures:
        idle = found.idle.get(name, np.full((1, 2), np.nan))
        means = [
            f"{of_kind[~np.isnan(of_kind)].mean():.0%}" if not np.isnan(of_kind).all() else "" for of_kind in idle.T
        ]
        rows.append([name, *shown(found.regret(name)), *means])
    return table_of(["rule", *MEASURES, "on solved tasks", "on tasks out of reach"], rows)


def against_oracle(found: Study) -> str:
    rows = [[name, *shown(found.measures[ORACLE] - found.measures[name])] for name in RULES]
    return table_of(["rule", *MEASURES], rows)


def against_default(studies: Sequence[Study]) -> str:
    """How much less regret some rules have than the default in the same worlds."""
    rows = [
        [name, found.title, *shown(found.regret(DEFAULT) - found.regret(name))]
        for name in COMPARED
        for found in studies
    ]
    return table_of(["rule", "tasks", *MEASURES], rows)


def conclusion(studies: Sequence[Study]) -> str:
    """What the numbers say."""

    def each(number: Callable[[Study], float], form: str) -> str:
        return " and ".join(format(number(found), form) for found in studies)

    hopeless = each(lambda found: float(np.nanmean(found.idle[DEFAULT][:, 1])), ".0%")
    missed = each(lambda found: found.regret(DEFAULT)[~found.all_learnable, 0].mean(), ".1f")
    reached = each(lambda found: found.regret(DEFAULT)[found.all_learnable, 0].mean(), ".1f")
    rare = [found.regret(name)[:, 0].mean() for found in studies for name in LEAVES_THE_RARE]
    return (
        "**Tasks out of reach cost more than solved ones, and no rule here tells them from a rare task. Our default "
        f"gives them {hopeless} of the last batches (K = 3 and 9), and its worst task ends {missed} points below what "
        f"the best fixed ratio attains; where all tasks can be learned, {reached}. Rules that leave tasks out of reach "
        f"leave the rare task as well, and end {min(rare):.0f} to {max(rare):.0f} points below.**"
    )


def preface() -> str:
    """What was played, and what the worlds lack."""
    return (
        f"`python benchmarks/weight_rules.py`: no model, a minute of one core. {WORLDS} worlds for each K, {STEPS} "
        f"steps of {BATCH} groups of {GROUP} rollouts. One task is rare (accuracy .02); of the others a quarter starts "
        f"above .93, a sixth is out of reach (always {OUT_OF_REACH:g}), and the rest starts at .1 to .5, below a "
        "ceiling of .6 to 1. The worst is taken of the tasks that can be learned, the average of all. *Regret* is what "
        "the best ratio that never moves attains, another for each measure, less what the rule does: points, with a "
        "95 % interval over worlds; below 0 the rule is better. The oracle knows accuracies and ceilings. The last two "
        f"columns are shares of the last {LAST} batches, over the worlds with such tasks.\n\n"
        "**What the worlds lack.** Training never harms: a task that is left keeps its accuracy, and few groups of a "
        "task teach as steadily as many. So floors are worth more, and leaving tasks less, than it seems here. Nothing "
        "is filtered or refilled: every rule gets its ratio."
    )


def draw(studies: Sequence[Study], file: Path) -> None:
    """Regret of the average against regret of the worst task, means over steps; a panel for each K."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    row = figure.subplots(1, len(studies))
    for axes, found in zip(row, studies, strict=True):
        for i, name in enumerate(RULES):
            (worst, average), (x, y) = interval(found.regret(name)[:, [1, 3]])
            style = {"fmt": "osD^vP*X<>phd"[i], "color": f"C{i % 10}", "markersize": 8, "linewidth": 1}
            axes.errorbar(worst, average, xerr=x, yerr=y, label=name, **style)
        axes.set(title=found.title, xlabel="regret of the worst task, mean of steps (points)")
        axes.grid(alpha=0.3)
    row[0].set_ylabel("regret of the average, mean of steps (points)")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    figure.savefig(file, dpi=110)


def main() -> None:
    """Play all worlds; write the page and the figure."""
    studies = [study(num_tasks) for num_tasks in (3, 9)]
    parts = ["# Rules for the task weights", conclusion(studies), preface()]
    parts += ["## Less regret than the default, in the same worlds", against_default(studies)]
    for found in studies:
        for of_worlds in (found, found.where_all_can_be_learned()):
            parts += [f"## {of_worlds.title}, against the best fixed ratio", against_fixed(of_worlds)]
        parts += [f"## {found.title}, against the oracle", against_oracle(found)]
    parts.append("![regrets](weight_rules.png)")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "weight_rules.md").write_text("\n\n".join(parts) + "\n")
    draw(studies, RESULTS / "weight_rules.png")
    Console().print((RESULTS / "weight_rules.md").read_text())


if __name__ == "__main__":
    main()
