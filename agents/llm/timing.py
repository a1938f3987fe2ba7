"""How long a run would take: the passes of one step, taken with the real model and engines, and thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.llm.build import build_agent, build_method
from mtgrpo_env.agents.llm.context import RunPrompts
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.plan import sampled
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.prompts import TokenIds
from mtgrpo_env.agents.llm.resumption import source_of
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.pace import Pace
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.progress import in_words
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Batch, Group, Problem, Rollout, Step

T = TypeVar("T")

_DECODED = 16  # tokens that are drawn to time one
_INFORMATIVE = 0.5  # share of groups with a gradient that the estimate of a run goes by


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTimes:
    """What the passes of a step took, in seconds.

    Attributes:
        prompts: whose responses were generated at a time.
        rows: those responses.
        prefill: of all the prompts, and a first token of each row.
        decode: of one more token of each row.
        learn: of learning from a whole batch, by the number of tokens that every response has.
    """

    prompts: int
    rows: int
    prefill: float
    decode: float
    learn: dict[int, float]

    def generation(self, prompts: int, rows: int, length: int) -> float:
        """Seconds of `rows` responses of so many tokens each."""
        return prompts * self.prefill / self.prompts + rows * max(length - 1, 0) * self.decode / self.rows


@dataclass(frozen=True, slots=True)
class RunTime:
    """Seconds of a run in which every response has so many tokens.

    Attributes:
        length: in tokens.
        generation: of a step.
        learning: of a step.
        evaluation: of one.
        steps: that the run has still to take.
        evaluations: that it has still to make.
    """

    length: int
    generation: float
    learning: float
    evaluation: float
    steps: int
    evaluations: int

    @property
    def total(self) -> float:
        return self.steps * (self.generation + self.learning) + self.evaluations * self.evaluation

    @property
    def shares(self) -> dict[str, float]:
        """Where the time goes."""
        seconds = {
            "generation": self.steps * self.generation,
            "learning": self.steps * self.learning,
            "evaluation": self.evaluations * self.evaluation,
        }
        return {name: of_it / max(self.total, 1e-9) for name, of_it in seconds.items()}


def print_timing(config: RunConfig, suite: TaskSuite, prompts: RunPrompts, console: Console) -> None:
    """How long a run would take on this machine, and where the time would go.

    Raises:
        ValueError: for the tiny model, which is built and warm-started first.
    """
    source = source_of(config, RunFolder(config.out).newest_checkpoint)
    if source is None:
        raise ValueError("only a model that is there can be timed: give --model, got the tiny one")
    console.print("loading the model, to take the passes of a step with it")
    times = time_passes(config, suite, source, prompts)
    console.print(
        f"{times.prompts} prompts and a first token of {times.rows} responses take {_seconds(times.prefill)}, each "
        f"further token of them {_seconds(times.decode)}; not counted are verifiers, turns after the first, and other "
        "work on this machine",
        soft_wrap=True,
    )
    console.print(_timing_table(run_times(config, suite, times)))


def time_passes(config: RunConfig, suite: TaskSuite, source: str, prompts: RunPrompts) -> PassTimes:
    """Generate a few tokens of a first round's responses, and learn once from a batch; takes about as long as a step.

    Learning is timed with responses of the longest length that is allowed, and of a quarter of it. The model is loaded,
    changed and forgotten; nothing is written.

    Args:
        config: of the run.
        suite: text tasks.
        source: the starting model, a folder or a hub id.
        prompts: how they are written.
    """
    agent = build_agent(config, suite, source, prompts)
    policy = agent.policy
    assert isinstance(policy, LanguageModelPolicy), "it was built for one"
    drawn = _Drawn(agent, policy)
    batch = drawn.batch(1)  # the first is a rehearsal
    limit = max(1, min(config.max_new_tokens, policy.context - max(map(len, drawn.prompts))))
    with policy.generating():
        drawn.tokens(1)
        first, first_tokens = _timed(lambda: drawn.tokens(1))
        more, tokens = _timed(lambda: drawn.tokens(min(limit, 1 + _DECODED)))
    rows, further = len(drawn.prompts) * config.group_size, tokens - first_tokens
    per_token = max(more - first, 0.0) / further if further else 0.0
    learn: dict[int, float] = {}
    agent.learn(batch)
    for length in sorted({max(1, limit // 4), limit}):
        batch = drawn.batch(length)
        learn[length], _ = _timed(lambda batch=batch: agent.learn(batch))
    return PassTimes(prompts=len(drawn.prompts), rows=rows, prefill=first, decode=rows * per_token, learn=learn)


def run_times(config: RunConfig, suite: TaskSuite, times: PassTimes) -> list[RunTime]:
    """What is left of runs whose responses have the lengths at which learning was timed.

    Every second group has a gradient.
    """
    groups = int(sampled(build_method(config, suite), _INFORMATIVE).groups.sum())
    problems = len(suite.held_out(config.eval_problems))
    done = min(max(RunFolder(config.out).steps, default=0), config.steps)  # by a run that is resumed
    evaluations = Pace(steps=config.steps, eval_every=config.eval_every).evaluations_after(done) + (done == 0)
    return [
        RunTime(
            length,
            generation=times.generation(groups, groups * config.group_size, length),
            learning=learning,
            evaluation=times.generation(problems, problems, length),
            steps=config.steps - done,
            evaluations=evaluations,
        )
        for length, learning in times.learn.items()
    ]


def _timing_table(runs: Sequence[RunTime]) -> Table:
    """A column for each length of responses."""
    table = Table()
    table.add_column("if responses have")
    for run in runs:
        table.add_column(f"{run.length:,} token{'s' if run.length > 1 else ''}", justify="right")
    rows = {
        "generation of a step": [_seconds(run.generation) for run in runs],
        "learning of a step": [_seconds(run.learning) for run in runs],
        "an evaluation": [_seconds(run.evaluation) for run in runs],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    table.add_section()
    first = runs[0]
    table.add_row(
        f"the run: {first.steps:,} steps, {first.evaluations} evaluations", *(_seconds(r.total) for r in runs)
    )
    for name in first.shares:
        table.add_row(f"of it {name}", *(f"{run.shares[name]:.0%}" for run in runs))
    return table


class _Drawn:
    """The problems of a first round, and what is made of them: a few real tokens, and batches of any length.

    Attributes:
        prompts: of the problems, as the model sees them.
    """

    def __init__(self, agent: MTGRPOAgent, policy: LanguageModelPolicy) -> None:
        self._agent, self._policy = agent, policy
        self.prompts: list[TokenIds] = []

    def tokens(self, limit: int) -> int:
        """Generate up to so many tokens of each response; how many there are of all."""
        decoding = replace(self._policy.decoding, max_new_tokens=limit)
        counts = [self._agent.group_size] * len(self.prompts)
        drawn = self._policy.engine.generate(self.prompts, counts, decoding, list(range(len(self.prompts))))
        return sum(completion.num_tokens for _, completion in drawn)

    def batch(self, length: int) -> Batch:
        """One whose every response has so many tokens, and half of them are right."""

        def make_groups(problems: Sequence[Problem]) -> list[Group]:
            prompts = [self._prompt(problem) for problem in problems]
            self.prompts = self.prompts or prompts
            return [self._group(*each, length) for each in zip(problems, prompts, strict=True)]

        return self._agent.curriculum.draw(make_groups)

    def _prompt(self, problem: Problem) -> TokenIds:
        opening = self._agent.suite.opening(problem)
        assert opening is not None, "language models are trained on text tasks"
        return self._policy.prompts.encode([opening.prompt], [problem.task_id])[0]

    def _group(self, problem: Problem, prompt: TokenIds, length: int) -> Group:
        tokens = tuple(np.resize(np.asarray(prompt), length).tolist())
        completion = Completion(prompt, tokens, (-1.0,) * length)

        def rollout(reward: float) -> Rollout:
            return Rollout((Step("", "", reward, completion),), reward, bool(reward), length=length)

        return Group(problem, tuple(rollout(float(i % 2)) for i in range(self._agent.group_size)))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else in_words(seconds)
