"""Agents side by side on suites of tasks: the library behind `mtgrpo evaluate`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

from mtgrpo_env.agents.reports.baseline import check_baselines, read_baseline
from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.chance import TaskChance, measure_chance
from mtgrpo_env.envs.answers import Extraction
from mtgrpo_env.experiments.agent_options import AgentOptions, EndpointOptions
from mtgrpo_env.experiments.benchmark_agents import (
    Agent,
    AgentSpec,
    Unplayable,
    make_agent,
    spec_name,
)
from mtgrpo_env.experiments.benchmark_callback import BenchmarkCallback
from mtgrpo_env.experiments.benchmark_files import refuse_shared_files
from mtgrpo_env.experiments.benchmark_player import Player
from mtgrpo_env.experiments.benchmark_result import Benchmark, Skipped, refuse_unwritable_report
from mtgrpo_env.experiments.failures import AgentError, is_ours, reason_of
from mtgrpo_env.extras import require_package
from mtgrpo_env.files import atomic_file, refuse_unwritable_file
from mtgrpo_env.named_tasks import TaskSpec, read_tasks
from mtgrpo_env.problem_sets import ProblemSet, rows_problem_set
from mtgrpo_env.prompt_options import PromptOptions
from mtgrpo_env.ranges import Range
from mtgrpo_env.redaction import redacted
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import TASK_FAULTS, Task

_LOG = logging.getLogger(__name__)
_LONGEST_NAME = 60

HELD_OUT = 300
"""Problems of each task that are played where nobody says how many."""

SuiteSpec = TaskSpec | Path | TaskSuite | ProblemSet
"""What `read_tasks` reads, of which held-out problems are played; a path of rows, which are all played; or problems."""

T = TypeVar("T")


def benchmark(
    agents: AgentSpec | Sequence[AgentSpec] | Mapping[str, AgentSpec],
    suites: SuiteSpec | Sequence[SuiteSpec] | Mapping[str, SuiteSpec] = "mini",
    *,
    problems: int | None = None,
    rollouts: int = 1,
    seed: int = 0,
    max_new_tokens: int = 1024,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    stop: tuple[str, ...] = (),
    device: str = "auto",
    vllm_memory: float = 0.9,
    prompts: PromptOptions | None = None,
    endpoint: EndpointOptions | None = None,
    extraction: Extraction = "last-box",
    row_options: RowOptions | None = None,
    save: Path | str | None = None,
    out: Path | str | None = None,
    baseline: Path | str | Sequence[Path | str] = (),
    callback: BenchmarkCallback | None = None,
    command: str = "",
) -> Benchmark:
    """Let every agent play held-out problems of every suite, and score each task.

    Args:
        agents: one or several, by name as in `named_agent`, as a policy, or as what makes a policy for a suite; a
            mapping gives them names of its own.
        suites: one or several, likewise: what `read_tasks` reads, such as "easy", "gym:Taxi-v4", a class of one's own
            or "sums.jsonl", whose held-out rows are played; a `Path` of rows that are all played; a `TaskSuite`; or a
            `ProblemSet`.
        problems: held-out problems of each task of a suite, by default 300; of a path the first rows of each task, by
            default all.
        rollouts: of each problem (n of avg@n, and the largest k of pass@k).
        seed: of problems, guesses and sampling.
        max_new_tokens: longest response of a language model.
        temperature: of its sampling.
        top_p: tokens are drawn among the likeliest that have this probability together; 1 for all.
        top_k: tokens are drawn among this many of the likeliest; 0 for all.
        stop: strings that end a response, which is scored as it stands before them.
        device: where a checkpoint runs; "auto" is the accelerator that torch finds, else the CPU.
        vllm_memory: share of the GPU's memory for vLLM.
        prompts: how they are written for language models, and how many worked examples stand before each.
        endpoint: how a model behind an endpoint is called.
        extraction: how the answer is found in a response.
        row_options: how rows are read and scored.
        save: a .jsonl file for every rollout, as `mtgrpo score` reads it; it appears when all have been played.
        out: a folder for the report, written anew after each agent and suite.
        baseline: one or several earlier reports, each a benchmark.json or its folder: the result holds the paired
            differences of every agent from theirs.
        callback: follows the progress.
        command: what made it, for the report; by default this call.

    Raises:
        ValueError: if there is no such agent or suite, an option cannot work, one file is to be two things, or
            the baselines played none of the problems.
        OSError: if `save` or `out` cannot be written, before anything is played.
        AgentError: if nothing was played and the last agent failed, by an error that this package does not raise.
        Exception: likewise, as this package raised it.

    >>> print(benchmark(["oracle", "random"], "arc-mini", problems=3))  # doctest: +ELLIPSIS
    arc-mini, problem set ..., accuracy in per cent
    ...
    """
    options = AgentOptions(
        rollouts=rollouts,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        stop=stop,
        device=device,
        vllm_memory=vllm_memory,
        seed=seed,
    ).with_endpoint(endpoint or EndpointOptions())
    options = options.with_prompts(prompts or PromptOptions())
    options.check()
    if problems is not None:
        Range(1).check("problems", problems)
    files = [baseline] if isinstance(baseline, str | Path) else baseline
    refuse_shared_files(suites, save=save, out=out, cache=options.cache, baselines=files)
    if save is not None:
        refuse_unwritable_file(Path(save))
    if out is not None:  # or a mistake would show when all has been played
        require_package("matplotlib", user="the figure of a report")
        refuse_unwritable_report(out)
    agent_specs, suite_specs = _named(agents, spec_name), _named(suites, _suite_name)
    if not (agent_specs and suite_specs):
        raise ValueError(f"expected at least one agent and one suite, got {[*agent_specs]} and {[*suite_specs]}")
    baselines = [played for file in files for played in read_baseline(file)]
    players = {name: make_agent(spec, options) for name, spec in agent_specs.items()}
    problem_sets = [
        _problem_set(name, spec, count=problems, seed=seed, extraction=extraction, row_options=row_options)
        for name, spec in suite_specs.items()
    ]
    if most := max(player.options.examples if player.options else 0 for player in players.values()):
        problem_sets = [problem_set.without_examples(most) for problem_set in problem_sets]
    if row_options is not None:
        row_options.check_used(name for problem_set in problem_sets for name in problem_set.suite.names)
    if baselines:
        for line in check_baselines(baselines, {one.name: one.keys() for one in problem_sets}):
            _LOG.warning("%s", line)
    sizes = f"problems={problems or HELD_OUT}, rollouts={rollouts}, seed={seed}"
    result = Benchmark(command or f"benchmark({[*agent_specs]}, {[*suite_specs]}, {sizes})", baselines=tuple(baselines))
    order = [*suite_specs]
    callback = callback or BenchmarkCallback()
    with ExitStack() as stack:
        saved = None if save is None else stack.enter_context(_rollout_file(Path(save)))
        for played in _play_all(players, problem_sets, rollouts, saved, callback):
            if isinstance(played, Skipped):
                result = replace(result, skipped=(*result.skipped, played))
                callback.on_skip(played)
            else:
                cells = sorted([*result.cells, played], key=lambda cell: order.index(cell.suite))
                result = replace(result, cells=tuple(cells))
                callback.on_cell(played)
            if out is not None and result.cells:  # after each: a run that is cut off leaves what it has
                result.write(out)
    return result


@contextmanager
def _rollout_file(file: Path) -> Iterator[IO[str]]:
    """Opened to be written; it is there, and an older one gone, when all has been played."""
    with atomic_file(file) as unfinished, unfinished.open("w", encoding="utf-8") as opened:
        yield opened


def _play_all(
    agents: dict[str, Agent],
    problem_sets: Sequence[ProblemSet],
    rollouts: int,
    saved: IO[str] | None,
    callback: BenchmarkCallback,
) -> Iterator[Cell | Skipped]:
    """Every agent on every problem set that it can play; an agent is let go of when it has played.

    One that fails does not keep the others from playing; if it was the last and none has played, its error is raised.
    """
    has_played = False
    chances: dict[str, Mapping[str, TaskChance]] = {}
    for name in list(agents):
        with closing(agents.pop(name)) as agent:
            for problem_set in problem_sets:
                callback.on_start(name, problem_set)
                try:
                    played = Player(name, agent, problem_set, saved, callback).play(rollouts)
                except Unplayable as error:
                    played = Skipped(name, problem_set.name, str(error))
                except TASK_FAULTS as error:  # whatever a policy of one's own, a server or a task may raise
                    played = Skipped(name, problem_set.name, redacted(reason_of(error)), failed=True)
                    if not (has_played or agents) and problem_set is problem_sets[-1]:
                        if is_ours(error):
                            raise
                        raise AgentError(str(played)) from error
                if isinstance(played, Cell):
                    has_played = True
                    if problem_set.name not in chances:
                        chances[problem_set.name] = _chance_of(problem_set)
                    played = replace(played, chance=chances[problem_set.name])
                yield played


def _chance_of(problem_set: ProblemSet) -> Mapping[str, TaskChance]:
    """What its tasks come to without thinking, by their names."""
    found = measure_chance(problem_set.suite, problem_set.problems)
    return {name: found.of_task(k) for k, name in enumerate(problem_set.suite.names)}


def _problem_set(
    name: str, spec: SuiteSpec, *, count: int | None, seed: int, extraction: Extraction, row_options: RowOptions | None
) -> ProblemSet:
    if isinstance(spec, ProblemSet):
        return replace(spec, name=name)
    if isinstance(spec, Path):
        rows = rows_problem_set(spec, count=count, extraction=extraction, row_options=row_options)
        return replace(rows, name=name)
    suite = read_tasks(spec, seed=seed, extraction=extraction, row_options=row_options)
    judged_by = "" if isinstance(spec, TaskSuite) else extraction
    return ProblemSet(name, suite, tuple(suite.held_out(count or HELD_OUT)), judged_by=judged_by)


def _suite_name(spec: SuiteSpec) -> str:
    if isinstance(spec, TaskSuite):
        names = ",".join(spec.names)
        return names if len(names) <= _LONGEST_NAME else f"{spec.names[0]} and {spec.num_tasks - 1} more"
    if isinstance(spec, ProblemSet | Task):
        return spec.name
    return spec.__name__ if isinstance(spec, type) else str(spec)


def _named(specs: T | Sequence[T] | Mapping[str, T], name_of: Callable[[T], str]) -> dict[str, T]:
    """Each under a name of its own; what is given twice is there once."""
    if isinstance(specs, Mapping):
        return dict(specs)
    many: Sequence[T] = specs if isinstance(specs, Sequence) and not isinstance(specs, str) else [specs]  # pyright: ignore[reportAssignmentType]
    named: dict[str, T] = {}
    for spec in many:
        if any(spec is other or (isinstance(spec, str | Path) and spec == other) for other in named.values()):
            continue
        name, count = name_of(spec), 1
        while name in named:
            count += 1
            name = f"{name_of(spec)} ({count})"
        named[name] = spec
    return named
