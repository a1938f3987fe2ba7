"""MT-GRPO (Algorithm 1): draw a batch in the ratio of the task weights, learn from it, move the weights.

What the next batch holds is decided by a `Curriculum`, how the policy learns by a learner, what the weights see of that
by an improvement signal. GRPO, DAPO and the other methods of the paper are compositions of such parts too (`recipes`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from mtgrpo_env.agents.base import CLIP_HIGHER, Learner, TrainablePolicy
from mtgrpo_env.agents.checkpoints import STATE_FILE, agent_state, check_checkpoint, odd_content_named
from mtgrpo_env.agents.improvement import MakeImprovementSignal, NoImprovement, improvement_for
from mtgrpo_env.agents.minibatches import MinibatchLearner
from mtgrpo_env.agents.policies import named_policy
from mtgrpo_env.agents.ranks import OneRank, Ranks, agreement, first_before_others, shared_folder
from mtgrpo_env.agents.recipes import DEFAULT_METHOD, Method, RunFacts, make_method
from mtgrpo_env.agents.sharded import ShardedRollouts
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.curriculum import BATCH_SIZE, Curriculum
from mtgrpo_env.evaluation import Evaluation, GroupCallback, evaluate_policy, ignore_group
from mtgrpo_env.group_sizes import GroupSizes
from mtgrpo_env.manifest import FORMAT
from mtgrpo_env.named_tasks import TaskSpec, is_registered, read_tasks
from mtgrpo_env.progress import GENERATING, stage
from mtgrpo_env.rollout import RollOut, rollout_groups
from mtgrpo_env.shares import GroupMeasure, count_groups
from mtgrpo_env.stateful import Stateful, plain, refuse_other_hyperparameters
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.truncation import ChangeGroup, keep_truncated
from mtgrpo_env.types import Batch, FloatArray, Group, Problem

_HELD_OUT = 100  # problems of each task that `evaluate` plays where none are named

Callback = Callable[["MTGRPOAgent", TrainMetrics], None]


class MTGRPOAgent:
    """Trains one policy on K tasks.

    Args:
        tasks: a suite, or whatever `read_tasks` makes one of: names, Gymnasium ids, classes, a list of them.
        policy: acts: one of your own, or by name "mlp" or "tabular".
        learner: improves the policy; that of a policy by name comes with it.
        method: the parts, or a recipe's name; by default `quota-mt-grpo`.
        curriculum: decides the batches, instead of a method's; its problems must be the suite.
        group_size: N, rollouts of each problem; at least 2, or 1 with a learner that has a baseline of its own.
        min_group_size: rollouts of a problem of the tasks for which so few are enough (`GroupSizes`); by default N.
        batch_size: B, groups of a batch; by default 32 where the method is a name.
        improvement: what the task weights see of an update; by default the method's, or what the weights look at.
        share_by: what the tasks' shares of the loss are counted by, where a method is given; by default groups.
        change: what training makes of every group generated, such as a penalty on responses that were cut off.
        ranks: the processes that train together, each with an agent like this one; by default this one alone.
        seed: of tasks, policy and sampler, where they are given by name.

    Raises:
        ValueError: if a name is unknown, a policy of one's own comes without a learner or a named one with it, or the
            parts do not fit together.

    >>> agent = MTGRPOAgent(["FrozenLake-v1"], policy="tabular", batch_size=2)
    >>> agent.train(num_steps=1)
    >>> agent
    MTGRPOAgent(FrozenLake-v1; TabularPolicy, DisparityWeights, QuotaSampler; step 1)
    """

    def __init__(
        self,
        tasks: str | Sequence[TaskSpec] | TaskSuite,
        policy: TrainablePolicy | str = "mlp",
        learner: Learner | None = None,
        *,
        method: Method | str | None = None,
        curriculum: Curriculum | None = None,
        group_size: int = 8,
        min_group_size: int | None = None,
        batch_size: int | None = None,
        improvement: MakeImprovementSignal | None = None,
        share_by: GroupMeasure = count_groups,
        change: ChangeGroup = keep_truncated,
        ranks: Ranks | None = None,
        seed: int = 0,
    ) -> None:
        self.suite = read_tasks(tasks, seed=seed)
        named = {"tasks": tasks, "policy": policy, "method": method or DEFAULT_METHOD, "seed": seed}
        sizes = {"group_size": group_size, "min_group_size": min_group_size, "batch_size": batch_size}
        self._recipe = {**named, **sizes} if curriculum is None else {}
        if isinstance(policy, str) != (learner is None):
            raise ValueError(f"a policy of your own and its learner go together, got {policy!r:.80}, {learner!r:.80}")
        if isinstance(policy, str):
            policy, learner = named_policy(policy, self.suite, seed=seed)
        assert learner is not None
        if curriculum is None:
            facts = RunFacts(self.suite.num_tasks, BATCH_SIZE if batch_size is None else batch_size, seed)
            method = method if isinstance(method, Method) else make_method(method or DEFAULT_METHOD, facts)
            curriculum = method.curriculum(self.suite, share_by=share_by)
            improvement = improvement or method.improvement
        elif method is not None or share_by is not count_groups:
            raise ValueError("a curriculum decides all that a method and share_by do: give either, got both")
        if curriculum.problems is not self.suite:
            raise ValueError(f"the curriculum must draw from the agent's suite, got one on {list(curriculum.names)}")
        if batch_size not in (None, curriculum.batch_size):
            raise ValueError(f"batch_size must be that of the sampler, {curriculum.batch_size}, got {batch_size}")
        self.group_sizes = GroupSizes(self.suite.num_tasks, largest=group_size, smallest=min_group_size)
        least, smallest = learner.smallest_group if isinstance(learner, MinibatchLearner) else 1, self.group_sizes.least
        if smallest < least:
            raise ValueError(f"group_size must be at least {least} for {type(learner).__name__}, got {smallest}")
        learner.use_clip(CLIP_HIGHER if method is None else method.clip_high)
        self.policy, self.learner, self.curriculum = policy, learner, curriculum
        self.improvement = improvement or improvement_for(curriculum.task_weights)
        self.change = change
        self.ranks = ranks or OneRank()
        self._roll_out: RollOut = rollout_groups if ranks is None else ShardedRollouts(ranks)
        self.step = 0
        self.rollouts = 0
        self.is_updating = False  # after an error: whether policy and weights are half way between two steps

    @property
    def group_size(self) -> int:
        """N, the most rollouts of a problem."""
        return self.group_sizes.largest

    def train_step(self, on_group: GroupCallback = ignore_group) -> TrainMetrics:
        """Algorithm 1, one step; `on_group` is given every group that is generated."""
        started, cpu_started = time.perf_counter(), time.process_time()
        with self.policy.generating(), stage(GENERATING, "responses"):
            batch = self.curriculum.draw(partial(self.roll_out, on_group=on_group))  # 1. batch ← sampler(z, B, N, ρ)
        sampled = time.perf_counter()
        self.is_updating = True
        batch, scalars, improvements = self.learn(batch)
        metrics = self.curriculum.update(batch, improvements)  # 4. z ← weight update (I, J)
        self.group_sizes.observe(batch)
        self.step += 1
        self.rollouts += batch.num_rollouts
        self.is_updating = False
        return TrainMetrics(
            **metrics.attributes,
            step=self.step,
            rewards=self.curriculum.rewards,
            improvements=improvements.sum(axis=0),
            actions=self.learner.action_counts(batch),
            rollout_seconds=sampled - started,
            update_seconds=time.perf_counter() - sampled,
            cpu_seconds=time.process_time() - cpu_started,
            learner=scalars,
        )

    def learn(self, batch: Batch) -> tuple[Batch, Mapping[str, float], FloatArray]:
        """Lines 2 and 3: the batch as it was learned from, the learner's scalars, and (U, K) improvements."""
        batch = self.learner.prepare(batch)
        observe = self.improvement if batch.groups else NoImprovement  # there is nothing to learn from
        signal = observe(self.learner, batch)
        scalars = self.learner.update(batch, signal.on_minibatch)  # 2. θ ← optimiser steps on it
        return batch, scalars, signal.end()  # 3. I_k ← Ĵ_k(θ') - Ĵ_k(θ)

    def train(self, num_steps: int, callbacks: Sequence[Callback] = ()) -> None:
        """Take `num_steps` more steps, and call every callback after each."""
        for _ in range(num_steps):
            metrics = self.train_step()
            for callback in callbacks:
                callback(self, metrics)

    def roll_out(self, problems: Sequence[Problem], *, on_group: GroupCallback = ignore_group) -> list[Group]:
        """A group of N_k rollouts of each problem, as training is to see it; `on_group` is given each as played."""
        sizes = self.group_sizes.now[[problem.task_id for problem in problems]].tolist()
        groups = self._roll_out(self.suite, self.policy, problems, sizes)
        for group in groups:
            on_group(group)
        return [self.change(group) for group in groups]

    def evaluate(
        self,
        problems: Sequence[Problem] | None = None,
        *,
        rollouts_per_problem: int = 1,
        deterministic: bool = False,
        seed: int = 0,
        on_group: GroupCallback = ignore_group,
    ) -> Evaluation:
        """Accuracy on fixed problems, by default 100 held-out ones a task.

        Draws from a generator of its own, so training is not disturbed.
        """
        policy = self.policy.reseeded(seed)
        with policy.generating():
            return evaluate_policy(
                self.suite,
                policy,
                self.suite.held_out(_HELD_OUT) if problems is None else problems,
                rollouts_per_problem=rollouts_per_problem,
                deterministic=deterministic,
                on_group=on_group,
                roll_out=self._roll_out,
            )

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Sequence[Any]:
        """Actions of the trained policy."""
        return self.policy.act(observations, task_ids, deterministic=deterministic)[0]

    def save(self, folder: str | Path, *, texts: Mapping[str, str] | None = None) -> None:
        """Write everything a later process needs to go on exactly here; the folder appears whole or not at all.

        Args:
            folder: of the checkpoint; its manifest is written last.
            texts: files to be part of it, by their names.
        """
        with shared_folder(Path(folder), self.ranks) as unfinished:
            for part in (self.policy, self.learner):
                with agreement(self.ranks):  # or the others would wait in the next for one that cannot write
                    part.save(unfinished)
            if self.ranks.rank == 0:
                self.curriculum.save(unfinished)
                state = {"format": FORMAT, "agent": self._named_parts(), "hyperparameters": self.hyperparameters}
                state |= {"step": self.step, "rollouts": self.rollouts, "group_sizes": self.group_sizes.state_dict()}
                (unfinished / STATE_FILE).write_text(json.dumps(state, indent=1), encoding="utf-8")
                for name, text in (texts or {}).items():
                    (unfinished / name).write_text(text, encoding="utf-8")

    def restore(self, folder: str | Path, *, is_checked: bool = False) -> None:
        """Continue from a checkpoint that an agent of the same composition saved.

        Args:
            folder: of the checkpoint.
            is_checked: whether `check_checkpoint` has just read all of it, which takes time where it is large.

        Raises:
            FileNotFoundError: if `folder` holds no checkpoint.
            ValueError: naming the file that is damaged, or every hyper-parameter that differs between the checkpoint
                and this agent.
        """
        if not is_checked:
            with first_before_others(self.ranks) as is_first:
                if is_first:
                    check_checkpoint(Path(folder))
        with odd_content_named(Path(folder)):
            state = agent_state(Path(folder))
            refuse_other_hyperparameters(f"{folder} is a checkpoint", state["hyperparameters"], self.hyperparameters)
            self.policy.load(Path(folder))
            self.learner.load(Path(folder))
            self.curriculum.load(folder)
            self.group_sizes.load_state_dict(state["group_sizes"])
            self.step, self.rollouts = state["step"], state["rollouts"]

    @classmethod
    def load(cls, folder: str | Path, tasks: str | Sequence[TaskSpec] | TaskSuite | None = None) -> Self:
        """The agent that a checkpoint holds, if it was made of parts with names.

        Args:
            folder: of the checkpoint.
            tasks: as the agent was given them; by default by the names in the checkpoint, which must be registered:
                no code is imported because a checkpoint names it.

        Raises:
            FileNotFoundError: if `folder` holds no checkpoint.
            ValueError: naming a file that is damaged, or if its agent was made of parts without names, or its tasks are
                not known here.
        """
        check_checkpoint(Path(folder))
        with odd_content_named(Path(folder)):
            named = agent_state(Path(folder))["agent"]
            if not named:
                raise ValueError(
                    f"the agent in {folder} was made of parts without names: make it again and call restore"
                )
            if ":" in named["method"]:
                raise ValueError(f"the method {named['method']!r} is code of your own: make the agent and call restore")
            if tasks is None and not (named["tasks"] and all(map(is_registered, named["tasks"]))):
                raise ValueError(
                    f"the tasks {named['tasks'] or 'of the agent'} are not registered here: give them as `tasks`"
                )
            agent = cls(**{**named, "tasks": named["tasks"] if tasks is None else tasks})
        agent.restore(folder, is_checked=True)
        return agent

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Of the agent and its parts: what a checkpoint must agree in."""
        acting = {"policy": self.policy, "learner": self.learner}
        parts = {n: plain(part) if isinstance(part, Stateful) else type(part).__name__ for n, part in acting.items()}
        parts["improvement"] = plain(self.improvement)
        return {**parts, "group_sizes": plain(self.group_sizes), **self.curriculum.hyperparameters}

    def __repr__(self) -> str:
        parts = (self.policy, self.curriculum.task_weights, self.curriculum.sampler)
        names = ", ".join(type(part).__name__ for part in parts)
        return f"{type(self).__name__}({', '.join(self.suite.names)}; {names}; step {self.step})"

    def _named_parts(self) -> Mapping[str, Any] | None:
        """What `load` makes the agent of; None if a part has no name. Tasks without names are None in it."""
        if not self._recipe or not all(isinstance(self._recipe[name], str) for name in ("policy", "method")):
            return None
        tasks = self._recipe["tasks"]
        tasks = [tasks] if isinstance(tasks, str) else tasks
        are_named = not isinstance(tasks, TaskSuite) and all(isinstance(task, str) for task in tasks)
        return {**self._recipe, "tasks": list(tasks) if are_named else None}


def is_saved_agent(folder: Path) -> bool:
    """Whether `MTGRPOAgent.load` may read a folder: it was saved by an agent that was made of parts with names."""
    return (folder / STATE_FILE).is_file() and bool(agent_state(folder).get("agent"))
