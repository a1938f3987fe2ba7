"""A suite as an environment of verifiers 0.4: the same problems and verdicts, one turn or several.

    env = load_environment("easy", problems=100)

verifiers finds a taskset by the name of a top-level module. `load_environment` enters this one under `TASKSET` in
its own process; for `vf-eval` and for workers, put a module of that name on the path (docs/export.md).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

from mtgrpo_env.envs.export import export_rows, fresh_problems
from mtgrpo_env.envs.reward import reply, verdict
from mtgrpo_env.envs.worker_pool import ScorerFailure
from mtgrpo_env.extras import imports_for
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.text_env import Verdict
from mtgrpo_env.types import Split

with imports_for(__name__):
    import verifiers.v1 as vf  # pyright: ignore[reportMissingImports]
    from openai import APIError, AsyncOpenAI
    from verifiers.v1.dialects.chat import message_to_wire  # pyright: ignore[reportMissingImports]

__all__ = ["ChatHarness", "SuiteEnv", "SuiteTaskset", "load_environment"]

TASKSET = "mtgrpo_suite"


def load_environment(suite: str = "easy", *, problems: int = 300, split: Split = "test", seed: int = 0) -> SuiteEnv:
    """The environment of a suite.

    Args:
        suite: a name, or tasks like "countdown-easy,arc-hard".
        problems: of each task, all different; the tasks take turns.
        split: where they are drawn from: no problem is in both splits.
        seed: of the problem streams.

    Raises:
        ValueError: if the suite is unknown; on loading its tasks, if one has fewer problems.
    """
    sys.modules.setdefault(TASKSET, sys.modules[__name__])
    chosen = {"id": TASKSET, "suite": suite, "problems": problems, "split": split, "seed": seed}
    return vf.load_environment(SuiteEnvConfig.model_validate({"taskset": chosen}))


class SuiteConfig(vf.TasksetConfig):
    """As the arguments of `load_environment`."""

    suite: str = "easy"
    problems: int = 300
    split: Split = "test"
    seed: int = 0


class SuiteData(vf.TaskData):
    """An exported row: `prompt` is what is asked, `info` its `extra_info`."""

    data_source: str
    ground_truth: str
    info: dict[str, Any]


class SuiteTask(vf.Task[SuiteData, vf.State, vf.TaskConfig]):
    """Judged by what the assistant said, turn after turn."""

    @vf.reward
    async def reward(self, trace: vf.Trace) -> float:
        """The verdict's; a scorer that fails is an error of the rollout and no zero."""
        return (await self._verdict(trace)).reward

    @vf.metric
    async def correct(self, trace: vf.Trace) -> float:
        """1 for a right answer; a wrong one in the right form has a reward, too."""
        return float((await self._verdict(trace)).is_success)

    def reply(self, trace: vf.Trace) -> Verdict | str:
        """What the conversation so far is met with."""
        return reply(self.data.prompt_text, _said(trace), self.data.ground_truth)

    async def _verdict(self, trace: vf.Trace) -> Verdict:
        judged = await asyncio.to_thread(verdict, self.data.prompt_text, _said(trace), self.data.ground_truth)
        if not judged.valid:
            raise ScorerFailure(f"the scorer failed on a response to {self.data.name}")
        return judged


class SuiteTaskset(vf.Taskset[SuiteTask, SuiteConfig]):
    """The first problems of each task of a suite."""

    def load(self) -> Iterator[SuiteTask]:
        config = self.config
        suite = read_tasks(config.suite, split=config.split, seed=config.seed)
        for row in export_rows(suite, fresh_problems(suite, config.problems)):
            data = SuiteData(
                id=row["extra_info"]["hash"],
                name=f"{row['data_source']}#{row['extra_info']['index']}",
                prompt="\n\n".join(message["content"] for message in row["prompt"]),
                data_source=row["data_source"],
                ground_truth=row["reward_model"]["ground_truth"] or "",
                info=row["extra_info"],
            )
            yield SuiteTask(data, config.task)


class SuiteEnvConfig(vf.EnvConfig):
    """The model under evaluation or training has the one seat, and works in this process' own system."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class SuiteEnv(vf.Env[SuiteEnvConfig]):
    """Answers the model for as long as its task goes on; most tasks are over after one turn."""

    async def run(self, task: SuiteTask, agents: vf.Agents) -> None:
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated:
                told = await asyncio.to_thread(task.reply, interaction.trace)
                if isinstance(told, Verdict):
                    break
                segment = await interaction.turn(told)


class ChatHarness(vf.Harness[vf.HarnessConfig]):
    """Asks the model from this process: there is no program to install and no tool to run."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        system, prompt = self.resolve_prompt(data)
        asked = [vf.UserMessage(content=prompt)] if isinstance(prompt, str) else prompt or []
        opening = [] if system is None else [vf.SystemMessage(content=system)]
        messages: Any = [message_to_wire(message) for message in [*opening, *asked]]
        async with AsyncOpenAI(base_url=endpoint, api_key=secret, timeout=None) as client:
            try:
                await client.chat.completions.create(model=ctx.model, messages=messages)
            except APIError as error:  # also when a limit of the rollout refuses the turn: verifiers knows which it was
                return vf.ProgramResult(1, "", str(error))
        return vf.ProgramResult(0, "", "")


def _said(trace: vf.Trace) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": message.content} for message in trace.assistant_messages]
