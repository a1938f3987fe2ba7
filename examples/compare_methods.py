r"""Methods side by side, on as many toy tasks as you like or on classic control.

    python examples/compare_methods.py                                   # ten combination locks: seconds, no torch
    python examples/compare_methods.py --tasks 1000 --steps 20           # a thousand: a minute or two
    python examples/compare_methods.py --suite control --methods mt-grpo dapo   # CartPole and others: minutes, torch
    python examples/compare_methods.py --seeds 0 1 2 3 4                 # with intervals
    python examples/compare_methods.py --methods quota-iwu-0.1 quota-iwu-0.9 \
        --weight-optimizer gradient-descent --weight-lr 4                # λ, and the optimiser with which it matters

Prints a table and saves a figure. A thousand tasks have a worst one by chance alone, so the mean of the worst
tenth is shown beside it. Brackets are 95 % bootstrap intervals of the mean over seeds.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import DEFAULT_METHOD, RECIPES, Method, RunFacts, make_method, named_method, options_of
from mtgrpo_env.agents.recipes.ours import WEIGHT_OPTIMIZERS
from mtgrpo_env.agents.reports.statistics import bootstrap_interval
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.curriculum import StarvedTaskWarning
from mtgrpo_env.envs.gymnasium_tasks import control_suite
from mtgrpo_env.envs.toy import graded_suite
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.filters import rewards_differ

NUM_EVALUATIONS = 6


@dataclass(frozen=True)
class Setting:
    """What all methods of a comparison share."""

    num_tasks: int
    batch_size: int
    held_out: int
    rollouts_per_problem: int
    make_agent: Callable[[Method, int], MTGRPOAgent]


@dataclass(frozen=True)
class Curve:
    """What one run achieved: generated rollouts and an evaluation, several times, and the seconds of training."""

    rollouts: list[int]
    evaluations: list[Evaluation]
    seconds: float

    @property
    def tenths(self) -> list[float]:
        """The worst tenth of the tasks at each evaluation."""
        return [worst_tenth(evaluation) for evaluation in self.evaluations]


def toy_setting(num_tasks: int) -> Setting:
    """Combination locks and a table."""
    batch_size = min(max(32, num_tasks), 100)

    def make_agent(method: Method, seed: int) -> MTGRPOAgent:
        policy = TabularPolicy(num_tasks, num_observations=16, num_actions=8, seed=seed)
        # The loss is a mean over groups: with a step size in proportion, a group counts alike in any batch.
        learner = TabularLearner(policy, lr=batch_size / 8, seed=seed)
        return MTGRPOAgent(graded_suite(num_tasks, seed=seed), policy, learner, method=method)

    return Setting(num_tasks, batch_size, max(1, 200 // num_tasks), 8, make_agent)


def control_setting() -> Setting:
    """Three CartPoles, Acrobot and two mountain cars, and one small network."""
    from mtgrpo_env.agents.neural.mlp import MLPPolicy
    from mtgrpo_env.agents.neural.mlp_learner import MLPLearner

    def make_agent(method: Method, seed: int) -> MTGRPOAgent:
        suite = control_suite(seed=seed)
        policy = MLPPolicy.for_suite(suite, seed=seed)
        learner = MLPLearner(policy, lr=5e-3, seed=seed)
        return MTGRPOAgent(suite, policy, learner, method=replace(method, group_filter=rewards_differ))

    return Setting(control_suite().num_tasks, 18, 10, 1, make_agent)


def evaluation_steps(steps: int) -> list[int]:
    """After which the policy is evaluated, the first and the last among them."""
    return np.unique(np.linspace(0, steps, NUM_EVALUATIONS).astype(int)).tolist()


def train(setting: Setting, name: str, seed: int, steps: int, options: Mapping[str, Any]) -> Curve:
    """One method, with the options that it takes, evaluated along the way on problems it never trains on."""
    facts = RunFacts(setting.num_tasks, setting.batch_size, seed, num_steps=steps)
    taken = options_of(named_method(name)) & options.keys()
    agent = setting.make_agent(make_method(name, facts, **{option: options[option] for option in taken}), seed)
    problems = agent.suite.held_out(setting.held_out)
    curve, seconds = Curve([], [], 0.0), 0.0
    for step in evaluation_steps(steps):
        started = time.perf_counter()
        agent.train(step - agent.step)
        seconds += time.perf_counter() - started
        curve.rollouts.append(agent.rollouts)
        curve.evaluations.append(agent.evaluate(problems, rollouts_per_problem=setting.rollouts_per_problem))
    return replace(curve, seconds=seconds)


def worst_tenth(evaluation: Evaluation) -> float:
    """Mean accuracy of the tenth of tasks that are worst, at least one."""
    accuracies = np.sort(evaluation.accuracies)
    return float(accuracies[: max(1, len(accuracies) // 10)].mean())


def table_row(name: str, runs: Sequence[Curve], steps: int) -> str:
    """What a method ends with, over its seeds."""
    ends = [run.evaluations[-1] for run in runs]
    columns = ([end.worst for end in ends], [worst_tenth(end) for end in ends], [end.average for end in ends])
    scores = " ".join(f"{with_interval(values):>17}" for values in columns)
    rollouts, seconds = np.mean([(run.rollouts[-1], run.seconds) for run in runs], axis=0)
    return f"{name:20} {scores} {rollouts:10,.0f} {steps / seconds:8.2f}"


def with_interval(values: Sequence[float]) -> str:
    """The mean, and its interval if there are several values."""
    interval = bootstrap_interval(values, np.random.default_rng(0))
    return f"{interval.mean:.2f}" + (f" [{interval.low:.2f}, {interval.high:.2f}]" if len(values) > 1 else "")


def draw(curves: Mapping[str, Sequence[Curve]], steps: int, file: Path) -> None:
    """The worst tenth by steps and by rollouts, the mean over seeds strong and each seed pale."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    by_step, by_rollout = figure.subplots(1, 2, sharey=True)
    at_steps = evaluation_steps(steps)
    for i, (name, runs) in enumerate(curves.items()):
        mean = np.mean([run.tenths for run in runs], axis=0)
        by_step.plot(at_steps, mean, f"C{i}.-", label=name)
        by_rollout.plot(np.mean([run.rollouts for run in runs], axis=0), mean, f"C{i}.-", label=name)
        for run in runs:
            by_step.plot(at_steps, run.tenths, f"C{i}", alpha=0.25)
            by_rollout.plot(run.rollouts, run.tenths, f"C{i}", alpha=0.25)
    by_step.set(xlabel="training steps", ylabel="accuracy, worst tenth of the tasks")
    by_step.set_ylim(bottom=0)
    by_rollout.set(xlabel="training rollouts generated")
    by_rollout.xaxis.set_major_formatter(EngFormatter(sep=""))
    by_step.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Train every method at equal steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=("toy", "control"), default="toy")
    parser.add_argument("--tasks", type=int, default=10, help="number of toy tasks")
    known = f"{', '.join(RECIPES)}; λ behind the name as in mt-grpo-0.9; module:function for one of your own"
    parser.add_argument("--methods", nargs="+", help=known, default=[DEFAULT_METHOD, "mt-grpo", "dapo", "grpo"])
    parser.add_argument("--tolerance", type=float, default=0.0, help="ε: how far below the average a task may be")
    parser.add_argument("--weight-optimizer", choices=tuple(WEIGHT_OPTIMIZERS), default="adam")
    parser.add_argument("--weight-lr", type=float, default=0.05, help="β")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--figure", type=Path, default=Path("runs/compare_methods.png"))
    args = parser.parse_args()
    warnings.simplefilter("ignore", StarvedTaskWarning)  # a solved task gives no more gradient: so it should be
    setting = toy_setting(args.tasks) if args.suite == "toy" else control_setting()
    print(f"{setting.num_tasks} tasks, batches of {setting.batch_size} groups, {args.steps} steps")
    print(f"{'method':20} {'worst':>17} {'worst tenth':>17} {'average':>17} {'rollouts':>10} {'steps/s':>8}")
    options = {name: getattr(args, name) for name in ("weight_lr", "weight_optimizer", "tolerance")}
    curves: dict[str, list[Curve]] = {}
    for name in args.methods:
        curves[name] = [train(setting, name, seed, args.steps, options) for seed in args.seeds]
        print(table_row(name, curves[name], args.steps), flush=True)
    draw(curves, args.steps, args.figure)
    print(f"figure {args.figure}")


if __name__ == "__main__":
    main()
