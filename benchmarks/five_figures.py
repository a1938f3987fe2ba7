"""The five figures of docs/five_figures.md: four combination locks, a table for a policy, five methods.

    python benchmarks/five_figures.py                       # five seeds: two minutes of one core; draws docs/images
    python benchmarks/five_figures.py --seeds 0 --steps 20 --out runs/five

The locks have one to four digits of four values each, so a random player opens them once in 4, 16, 64 and 256 tries.
Prints the table that stands below the last figure.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter
from matplotlib.typing import ColorType

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import RunFacts, make_method, named_method, options_of
from mtgrpo_env.agents.reports.figure_style import color, write
from mtgrpo_env.agents.reports.statistics import bootstrap_interval
from mtgrpo_env.agents.reports.task_statistics import smoothed
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.batch_metrics import TrainMetrics, task_numbers
from mtgrpo_env.curriculum import StarvedTaskWarning
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.metrics import cost_to_threshold
from mtgrpo_env.types import FloatArray

NUM_LOCKS, NUM_DIGITS = 4, 4
BATCH_SIZE, GROUP_SIZE = 32, 8
LR, WEIGHT_LR = 4.0, 0.05
EVALUATE_EVERY, HELD_OUT, EPISODES = 2, 50, 4
THRESHOLD = 0.5
METHODS = {
    "grpo": "GRPO",
    "dapo": "DAPO",
    "iwu-dapo": "DAPO's sampler, adaptive weights",
    "mt-grpo": "MT-GRPO, the paper's",
    "quota-mt-grpo": "MT-GRPO, ours",
}
LOCKS = [f"{length} digit{'s' * (length > 1)}" for length in range(1, NUM_LOCKS + 1)]
HARDEST = NUM_LOCKS - 1


@dataclass(frozen=True)
class Run:
    """One method on one seed; `accuracies` is (evaluations, K), the costs beside it are what was spent by then."""

    metrics: list[TrainMetrics] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    rollouts: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    accuracies: list[FloatArray] = field(default_factory=list)

    @property
    def worst(self) -> FloatArray:
        """(evaluations,) accuracy of the worst lock."""
        return np.min(self.accuracies, axis=1)

    @property
    def weights(self) -> FloatArray:
        """(steps, K) z."""
        return self._numbers("task_weight")

    @property
    def shares(self) -> FloatArray:
        """(steps, K) of the loss."""
        return self._numbers("prompt_share")

    @property
    def filter_rates(self) -> FloatArray:
        """(steps, K) share of the generated groups that have no gradient; NaN where none was generated."""
        return self._numbers("filter_rate")

    def _numbers(self, name: str) -> FloatArray:
        return np.array([task_numbers(metrics.record)[name] for metrics in self.metrics])


Runs = Mapping[str, Sequence[Run]]


def make_agent(name: str, seed: int) -> MTGRPOAgent:
    suite = toy_suite(NUM_LOCKS, num_digits=NUM_DIGITS, seed=seed)
    options = {"weight_lr": WEIGHT_LR} if "weight_lr" in options_of(named_method(name)) else {}
    method = make_method(name, RunFacts(NUM_LOCKS, BATCH_SIZE, seed=seed), **options)
    policy = TabularPolicy(NUM_LOCKS, num_observations=16, num_actions=NUM_DIGITS, seed=seed)
    learner = TabularLearner(policy, lr=LR, seed=seed)
    return MTGRPOAgent(suite, policy, learner, method=method, group_size=GROUP_SIZE)


def train(name: str, seed: int, steps: int) -> Run:
    agent, run, spent = make_agent(name, seed), Run(), 0.0
    problems = agent.suite.held_out(HELD_OUT)
    for step in range(steps + 1):
        if step:
            started = time.process_time()
            run.metrics.append(agent.train_step())
            spent += time.process_time() - started
        if step % EVALUATE_EVERY == 0:
            run.steps.append(step)
            run.rollouts.append(agent.rollouts)
            run.seconds.append(spent)
            run.accuracies.append(agent.evaluate(problems, rollouts_per_problem=EPISODES).accuracies)
    return run


def lock_color(k: int) -> tuple[float, float, float, float]:
    return colormaps["plasma_r"](0.18 + 0.7 * k / HARDEST)


def over_seeds(runs: Sequence[Run], values: Callable[[Run], FloatArray]) -> FloatArray:
    """Mean over the seeds, and over a few steps before each."""
    return np.nanmean([smoothed(np.nan_to_num(values(run))) for run in runs], axis=0)


def label_ends(axes: Axes, x: float, ends: Sequence[tuple[float, str, ColorType]], *, gap: float = 0.055) -> None:
    """Names beside the ends of lines, moved apart where they would touch."""
    lowest = -np.inf
    for y, text, of_line in sorted(ends, key=lambda end: end[0]):
        lowest = max(y, lowest + gap)
        axes.annotate(text, (x, lowest), xytext=(6, 0), textcoords="offset points", color=of_line, va="center")


def plain(axes: Axes, *, title: str, xlabel: str, ylabel: str = "") -> Axes:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    return axes


def row(count: int, *, width: float = 4.8, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False).ravel().tolist()


def draw_average(runs: Runs) -> Figure:
    """1: the average rises while the worst task stays where it was."""
    figure, (axes,) = row(1, width=7.4, height=4)
    plain(axes, title="GRPO on four locks", xlabel="training steps", ylabel="accuracy on held-out problems")
    steps = runs["grpo"][0].steps
    mean = np.mean([run.accuracies for run in runs["grpo"]], axis=0)  # (evaluations, K)
    for k in range(NUM_LOCKS):
        axes.plot(steps, mean[:, k], color=lock_color(k), linewidth=1.8)
    axes.plot(steps, mean.mean(axis=1), color="black", linewidth=3.2)
    ends = [(mean[-1, k], LOCKS[k], lock_color(k)) for k in range(NUM_LOCKS)]
    label_ends(axes, steps[-1], [*ends, (mean[-1].mean(), "average", "black")])
    return figure


def draw_filtered(runs: Runs) -> Figure:
    """2: which groups have a gradient."""
    figure, (left, right) = row(2)
    rates = over_seeds(runs["grpo"], lambda run: run.filter_rates)
    steps = np.arange(1, len(rates) + 1)
    plain(left, title="Groups without a gradient", xlabel="training steps", ylabel="share of a lock's groups")
    for k in range(NUM_LOCKS):
        left.plot(steps, rates[:, k], color=lock_color(k), linewidth=2)
    label_ends(left, steps[-1], [(rates[-1, k], LOCKS[k], lock_color(k)) for k in range(NUM_LOCKS)], gap=0.07)
    plain(right, title="What is left of a batch", xlabel="training steps", ylabel="share of the 32 groups")
    accepted = over_seeds(runs["grpo"], lambda run: np.array([step.accepted / BATCH_SIZE for step in run.metrics]))
    right.stackplot(steps, accepted.T, colors=[lock_color(k) for k in range(NUM_LOCKS)], labels=LOCKS, alpha=0.9)
    right.fill_between(steps, accepted.sum(axis=1), 1, color="0.88")
    right.text(steps[-1] / 2, 0.9, "no gradient", ha="center", color="0.35")
    right.set(ylim=(0, 1), xlim=(1, steps[-1]))
    return figure


def draw_weight_and_share(runs: Runs) -> Figure:
    """3: under DAPO's sampler the hardest task's share is not its weight."""
    figure, panels = row(2)
    titles = ("DAPO: equal weights", "DAPO's sampler, adaptive weights")
    for axes, name, title in zip(panels, ("dapo", "iwu-dapo"), titles, strict=True):
        plain(axes, title=title, xlabel="training steps", ylabel="of the batch")
        _weight_and_share(axes, runs[name])
    panels[0].legend(loc="upper left", frameon=False)
    figure.suptitle(f"The lock of {LOCKS[HARDEST]}", x=0.01, ha="left", fontsize=12)
    return figure


def _weight_and_share(axes: Axes, runs: Sequence[Run]) -> None:
    weight = np.mean([run.weights for run in runs], axis=0)[:, HARDEST]
    share = over_seeds(runs, lambda run: run.shares)[:, HARDEST]
    steps = np.arange(1, len(weight) + 1)
    axes.fill_between(steps, share, weight, where=(share < weight).tolist(), color=lock_color(HARDEST), alpha=0.15)
    axes.plot(steps, weight, color="black", linewidth=2, label="weight it was given")
    axes.plot(steps, share, color=lock_color(HARDEST), linewidth=2, label="share it got")


def draw_ratio(runs: Runs) -> Figure:
    """4: share against weight, for three samplers."""
    figure, panels = row(3, width=3.9, height=4.1)
    titles = ("DAPO's sampler", "Algorithm 2", "quotas and replay")
    for axes, name, title in zip(panels, ("iwu-dapo", "mt-grpo", "quota-mt-grpo"), titles, strict=True):
        distance = f"{np.mean([distances(run) for run in runs[name]]):.2f}"
        plain(axes, title=f"{title}: {distance} apart", xlabel="weight", ylabel="share of the loss")
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
        for k in range(NUM_LOCKS):
            points = [(run.weights[:, k], run.shares[:, k]) for run in runs[name]]
            x, y = np.concatenate(points, axis=1)
            axes.plot(x, y, "o", color=lock_color(k), alpha=0.35, markersize=3.5, markeredgewidth=0, label=LOCKS[k])
        axes.set(xlim=(0, 1), aspect="equal")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=NUM_LOCKS, frameon=False, markerscale=2)
    return figure


def distances(run: Run) -> float:
    """Mean total-variation distance between the weights of a step and the shares of its loss."""
    return float(0.5 * np.abs(run.weights - run.shares).sum(axis=1).mean())


def draw_costs(runs: Runs) -> Figure:
    """5: the worst lock against three costs."""
    figure, panels = row(3, width=3.6, height=3.7)
    labels = ("training steps", "generated rollouts", "CPU seconds of training")
    for axes, cost, label in zip(panels, ("steps", "rollouts", "seconds"), labels, strict=True):
        plain(axes, title="", xlabel=label, ylabel="accuracy of the worst lock" if cost == "steps" else "")
        axes.axhline(THRESHOLD, color="0.6", linewidth=1)
        for i, name in enumerate(METHODS):
            costs = np.mean([costs_of(run)[cost] for run in runs[name]], axis=0)
            worst = np.array([run.worst for run in runs[name]])
            axes.plot(costs, worst.mean(axis=0), color=color(i), linewidth=2, label=METHODS[name])
            axes.fill_between(costs, worst.min(axis=0), worst.max(axis=0), color=color(i), alpha=0.12, linewidth=0)
        if cost == "rollouts":
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(METHODS), frameon=False, fontsize=9)
    return figure


def costs_of(run: Run) -> dict[str, Sequence[float]]:
    return {"steps": run.steps, "rollouts": run.rollouts, "seconds": run.seconds}


DRAWINGS: Mapping[str, Callable[[Runs], Figure]] = {
    "five_1_average.png": draw_average,
    "five_2_filtered.png": draw_filtered,
    "five_3_weight_and_share.png": draw_weight_and_share,
    "five_4_ratio.png": draw_ratio,
    "five_5_costs.png": draw_costs,
}


def table(runs: Runs) -> str:
    """Ends and costs of every method, over the seeds."""
    lines = [
        f"| method | steps to {THRESHOLD:.0%} worst | rollouts to it | CPU seconds to it | worst lock at the end | "
        "average at the end | rollouts in all |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, label in METHODS.items():
        to_threshold = [_median_cost(runs[name], cost) for cost in ("steps", "rollouts", "seconds")]
        ends = [[run.worst[-1] for run in runs[name]], [run.accuracies[-1].mean() for run in runs[name]]]
        total = f"{np.mean([run.rollouts[-1] for run in runs[name]]):,.0f}"
        lines.append(f"| {' | '.join([label, *to_threshold, *map(_with_interval, ends), total])} |")
    return "\n".join(lines)


def _median_cost(runs: Sequence[Run], cost: str) -> str:
    median = np.median([cost_to_threshold(costs_of(run)[cost], run.worst.tolist(), THRESHOLD) for run in runs])
    return "never" if np.isinf(median) else f"{median:.1f}" if cost == "seconds" else f"{median:,.0f}"


def _with_interval(values: Sequence[float]) -> str:
    interval = bootstrap_interval(values, np.random.default_rng(0))
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    warnings.simplefilter("ignore", StarvedTaskWarning)  # the first figure is about that
    runs = {name: [train(name, seed, args.steps) for seed in args.seeds] for name in METHODS}
    args.out.mkdir(parents=True, exist_ok=True)
    for file, draw in DRAWINGS.items():
        write(draw(runs), args.out / file)
        print(f"figure {args.out / file}")
    print(table(runs))


if __name__ == "__main__":
    main()
