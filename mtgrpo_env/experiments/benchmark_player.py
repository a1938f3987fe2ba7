"""An agent on a problem set: what it plays is scored, looked through and saved as it comes."""

from __future__ import annotations

import json
import logging
import time
from typing import IO

from mtgrpo_env.agents.reports.baseline import Outcome
from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.agents.reports.scores import Scorer, TokenUsage
from mtgrpo_env.agents.response_warnings import response_warnings
from mtgrpo_env.envs.responses import rollout_rows
from mtgrpo_env.experiments.benchmark_agents import Agent
from mtgrpo_env.experiments.benchmark_callback import BenchmarkCallback
from mtgrpo_env.problem_sets import ProblemSet
from mtgrpo_env.types import Group

_LOG = logging.getLogger(__name__)
_LOOKED_AT = 2000  # problems whose responses are looked through for what may be wrong with most


class Player:
    """An agent on a problem set."""

    def __init__(
        self, name: str, agent: Agent, problem_set: ProblemSet, saved: IO[str] | None, callback: BenchmarkCallback
    ) -> None:
        self._name, self._agent, self._problem_set, self._saved = name, agent, problem_set, saved
        self._scorer = Scorer(problem_set.suite.names)
        self._problems: dict[str, dict[str, Outcome]] = {}
        self._callback = callback
        self._generates = False
        self._rollouts_differ = False
        self._looked_at: list[Group] = []  # by a model that generates

    def play(self, rollouts: int) -> Cell:
        """Play every problem; raises what the agent raises."""
        started, reused = time.perf_counter(), self._agent.reused
        left_out = self._agent.play(self._problem_set, self._add, self._callback.on_response)
        seconds = time.perf_counter() - started
        if rollouts > 1 and self._generates and not self._rollouts_differ:
            _LOG.warning(
                "%s gave the same response in all %d rollouts of every problem: avg@n and pass@k are those of one. "
                "Does it draw tokens at all?",
                self._name,
                rollouts,
            )
        if self._agent.options is not None:
            for warning in response_warnings(self._agent.options, self._problem_set.suite.names, self._looked_at):
                _LOG.warning("%s: %s", self._name, warning)
        for problem in left_out:
            self._scorer.leave_out(problem.task)
        problem_set = self._problem_set
        levels = problem_set.levels()
        return Cell(
            agent=self._name,
            suite=problem_set.name,
            fingerprint=problem_set.fingerprint(),
            rollouts=rollouts,
            seconds=seconds,
            scores=self._scorer.scores(levels),
            levels=levels,
            problems=self._problems,
            reused=self._agent.reused - reused,
            left_out=[*map(str, left_out)],
        )

    def _add(self, group: Group) -> None:
        extras = (step.extras for rollout in group.rollouts for step in rollout.steps)
        usage: list[TokenUsage] = [one for extra in extras if (one := self._agent.usage(extra)) is not None]
        self._scorer.add(group, usage)
        if valid := int(group.valid.sum()):
            outcome = int(group.successes[group.valid].sum()), valid
            name = self._problem_set.suite.names[group.task_id]
            self._problems.setdefault(name, {})[self._problem_set.key(group.problem)] = outcome
        if usage:
            self._generates = True
            if len(self._looked_at) < _LOOKED_AT:
                self._looked_at.append(group)
            self._rollouts_differ |= len({tuple(step.action for step in one.steps) for one in group.rollouts}) > 1
        if self._saved is not None:
            self._save(group, self._saved)
        self._callback.on_problem()

    def _save(self, group: Group, file: IO[str]) -> None:
        about = {"agent": self._name, "suite": self._problem_set.name}
        file.writelines(json.dumps({**about, **row}) + "\n" for row in rollout_rows(self._problem_set.suite, group))
