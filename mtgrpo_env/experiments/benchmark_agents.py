"""The agents of a benchmark: baselines, checkpoints, models behind an endpoint, policies of one's own."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from mtgrpo_env.agents.checkpoints import check_model_folder
from mtgrpo_env.agents.kept_file import KeptFile, key_of
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent, is_saved_agent
from mtgrpo_env.agents.reports.scores import TokenUsage
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.evaluation import (
    MOST_EPISODES,
    GroupCallback,
    LeftOutProblem,
    RandomActions,
    evaluate_answers,
    evaluate_policy,
    guess,
    oracle,
)
from mtgrpo_env.experiments.agent_options import AgentOptions
from mtgrpo_env.experiments.identities import checkpoint_files, own_code, package_code, pickled
from mtgrpo_env.experiments.kept_groups import KeptGroups
from mtgrpo_env.extras import imports_for, require_package
from mtgrpo_env.named_objects import did_you_mean
from mtgrpo_env.named_tasks import named_object
from mtgrpo_env.paper_frame import NEXT_TURNS
from mtgrpo_env.problem_sets import ProblemSet, plays_text
from mtgrpo_env.prompt_options import PromptName, PromptOptions, json_object
from mtgrpo_env.redaction import redacted
from mtgrpo_env.rollout import Policy, StreamingPolicy
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Group
from mtgrpo_env.worked_examples import worked_examples

if TYPE_CHECKING:
    from mtgrpo_env.agents.llm.kept_engine import KeptEngine
    from mtgrpo_env.agents.llm.policy import LanguageModelPolicy

_LOG = logging.getLogger(__name__)
_BASELINES = ("oracle", "random")
_FORMS: Mapping[str, tuple[PromptName, ...]] = {"openai": ("chat",), "completions": ("plain", "paper")}  # default first
_KEPT_AT_ONCE = 64  # completions on a CPU, which larger batches make no faster
_OF_THE_PROMPT = frozenset({"model", "messages", "prompt"})

LeftOut = Sequence[LeftOutProblem]

ResponseCallback = Callable[[], None]
"""Called at every response of a language model, as it arrives."""

AgentSpec = str | Policy | MTGRPOAgent | Callable[[TaskSuite], Policy]
"""An agent by name, a policy, an agent that has one, or what makes a policy for a suite."""


class Unplayable(ValueError):
    """This agent cannot play these tasks."""


class Agent(ABC):
    """Plays problem sets.

    Attributes:
        options: how it responds; None of one that has none.
    """

    options: AgentOptions | None = None

    @abstractmethod
    def play(self, problem_set: ProblemSet, on_group: GroupCallback, on_response: ResponseCallback) -> LeftOut:
        """Play every problem, and return those that had to be left out.

        Raises:
            Unplayable: if the agent cannot play any.
        """

    def usage(self, extras: Any) -> TokenUsage | None:
        """The tokens of the response that came with these extras; None for an agent that generates none."""
        return None

    @property
    def reused(self) -> int:
        """Responses so far, or problems of an agent that gives none, that an earlier command had kept."""
        return 0

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """Let go of connections and files, once it has played."""


def make_agent(spec: AgentSpec, options: AgentOptions) -> Agent:
    """The agent that a benchmark is given.

    Raises:
        ValueError: if there is no such agent.
    """
    if isinstance(spec, str):
        return named_agent(spec, options)
    policy = spec.policy if isinstance(spec, MTGRPOAgent) else spec
    if _is_policy(policy):
        return _OwnPolicy(lambda suite: policy, options.rollouts, repr(spec))
    if callable(spec):
        return _OwnPolicy(spec, options.rollouts, repr(spec))
    raise ValueError(f"an agent must be a name, a policy with a method act, or what makes one, got {spec!r:.80}")


def spec_name(spec: AgentSpec) -> str:
    """What an agent is called in reports: its name without the secrets that a URL may hold, or its type's."""
    if isinstance(spec, str):
        return redacted(spec)
    return type(spec).__name__ if _is_policy(spec) else getattr(spec, "__name__", type(spec).__name__)


def named_agent(name: str, options: AgentOptions) -> Agent:
    """The agent of that name.

    Args:
        name: "oracle"; "random"; a folder or hub id of a checkpoint, with "hf:" before it or without; a folder that
            `MTGRPOAgent.save` wrote, or of a run, whose newest checkpoint plays; "vllm:" and a checkpoint; "openai:" or
            "completions:", a model, "@" and the base URL of its server; or "package.module:function", which makes a
            `Policy` for a `TaskSuite`.
        options: how it responds.

    Raises:
        ValueError: if there is no such agent.
    """
    kind, colon, rest = name.partition(":")
    if name == "oracle":
        return _Oracle()
    if name == "random":
        return _Random(options)
    if colon and kind in _KINDS:
        return _KINDS[kind](rest, options)
    if colon:
        return _OwnPolicy(named_object(name), options.rollouts, name, KeptFile(options.cache))
    folder = RunFolder(name).newest_checkpoint or Path(name)
    options = _as_in_training(folder, options)
    if is_saved_agent(folder):
        kept = KeptFile(options.cache)
        return _OwnPolicy(lambda suite: MTGRPOAgent.load(folder, suite).policy, options.rollouts, name, kept)
    if not folder.is_dir() and (near := did_you_mean(name, _BASELINES)):
        raise ValueError(f"there is no agent {name!r}{near}")
    return _Checkpoint(str(folder) if folder.is_dir() else name, options)


def _as_in_training(checkpoint: Path, options: AgentOptions) -> AgentOptions:
    """The options, with prompts written as in the run that a checkpoint is of, where nothing else is asked for."""
    run = RunFolder(checkpoint.parent.parent)
    if not run.is_run:
        return options
    names, saved, default = [field.name for field in fields(PromptOptions)], run.read_options(), PromptOptions()
    open_names = [name for name in names if name in saved and getattr(options, name) == getattr(default, name)]
    taken = {name: saved[name] for name in open_names if saved[name] != getattr(default, name)}
    if taken:
        shown = ", ".join(f"{name}={value!r:.40}" for name, value in taken.items())
        _LOG.info("%s: prompts are written as in its run, %s", checkpoint, shown)
    return replace(options, **taken)


class _Oracle(Agent):
    """The tasks' own solutions, once each: they do not differ."""

    def play(self, problem_set: ProblemSet, on_group: GroupCallback, on_response: ResponseCallback) -> LeftOut:
        _check_text(problem_set)
        left_out: list[LeftOutProblem] = []
        evaluate_answers(
            problem_set.suite, oracle, problem_set.problems, on_group=on_group, on_left_out=left_out.append
        )
        return left_out


class _Random(Agent):
    """Guesses where the task has a guess, and draws actions elsewhere."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options

    def play(self, problem_set: ProblemSet, on_group: GroupCallback, on_response: ResponseCallback) -> LeftOut:
        suite, options = problem_set.suite, self._options
        is_text = [plays_text(suite, k) for k in range(suite.num_tasks)]
        answered = [problem for problem in problem_set.problems if is_text[problem.task_id]]
        acted = [problem for problem in problem_set.problems if not is_text[problem.task_id]]
        many = {"rollouts_per_problem": options.rollouts, "on_group": on_group}
        evaluate_answers(suite, guess, answered, seed=options.seed, **many)
        evaluate_policy(suite, RandomActions(suite, seed=options.seed), acted, **many)
        return ()


class _OwnPolicy(Agent):
    """A policy of one's own; what it played is kept if there is a file, and if pickle can say what the policy is."""

    def __init__(
        self, make: Callable[[TaskSuite], Policy], rollouts: int, name: str, kept: KeptFile | None = None
    ) -> None:
        self._make, self._rollouts, self._name, self._kept, self._reused = make, rollouts, name, kept, 0

    def play(self, problem_set: ProblemSet, on_group: GroupCallback, on_response: ResponseCallback) -> LeftOut:
        policy = self._make(problem_set.suite)
        if not _is_policy(policy):
            raise ValueError(f"{self._name} must make a policy with a method act, got {policy!r:.80}")
        counted = _Counted(policy, on_response) if isinstance(policy, StreamingPolicy) else policy
        identity = None if self._kept is None else pickled(policy)
        if self._kept is None or identity is None:
            _evaluate(counted, problem_set, self._rollouts, on_group)
            return ()
        agent = key_of(identity, own_code(), package_code())
        groups = KeptGroups(self._kept, problem_set, agent=agent, rollouts=self._rollouts)
        for group in groups.known():
            self._reused += 1
            on_group(group)

        def keep(group: Group) -> None:
            groups.put(group)
            on_group(group)

        _evaluate(counted, groups.unknown(), self._rollouts, keep)
        return ()

    @property
    def reused(self) -> int:
        return self._reused

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()


class _Checkpoint(Agent):
    """A Hugging Face checkpoint in this process, loaded when it first plays."""

    def __init__(self, source: str, options: AgentOptions) -> None:
        with imports_for("a checkpoint as an agent"):
            from mtgrpo_env.agents.llm.devices import device_of
            from mtgrpo_env.agents.llm.policy import checked_source

        self._source, self.options, self._options = str(checked_source(source)), options, options
        check_model_folder(Path(source))
        self._device = device_of(options.device)
        self._kept = KeptFile(options.cache)
        self._engine: KeptEngine | None = None

    @cached_property
    def _policy(self) -> LanguageModelPolicy:
        from mtgrpo_env.agents.llm.kept_engine import KeptEngine

        policy, device = self._load(self._source), self._device.type
        files = [checkpoint_files(source) for source in self._sources()]
        model = key_of(type(policy.engine).__name__, files, device, str(policy.model.dtype), package_code())
        rows_at_once = _KEPT_AT_ONCE if device == "cpu" else MOST_EPISODES
        self._engine = policy.engine = KeptEngine(policy.engine, self._kept, model=model, rows_at_once=rows_at_once)
        return policy

    @property
    def reused(self) -> int:
        return self._engine.reused if self._engine else 0

    def close(self) -> None:
        self._kept.close()

    def play(self, problem_set: ProblemSet, on_group: GroupCallback, on_response: ResponseCallback) -> LeftOut:
        from mtgrpo_env.agents.llm.engines import Decoding
        from mtgrpo_env.agents.llm.prompts import prompt_format

        _check_text(problem_set)
        policy, options = self._policy.reseeded(self._options.seed), self._options
        policy.decoding = Decoding(
            options.max_new_tokens, options.temperature, options.top_p, options.top_k, options.stop
        )
        examples = worked_examples(problem_set.suite, options.examples)
        policy.prompts = prompt_format(options, policy.tokenizer, examples.turns)
        fitting, left_out = _with_room(policy, problem_set)
        _evaluate(_Counted(policy, on_response), fitting, options.rollouts, on_group)
        return left_out

    def usage(self, extras: Any) -> TokenUsage:
        if not extras.tokens:  # the prompt left no room
            return TokenUsage(len(extras.prompt), 0, empty="refused")
        return TokenUsage(len(extras.prompt), extras.num_tokens, truncated=extras.is_truncated)

    def _sources(self) -> list[str]:
        """What decides the model."""
        from mtgrpo_env.agents.llm.adapters import sources_of

        return sources_of(self._source)

    def _load(self, source: str) -> LanguageModelPolicy:
        import torch
        import transformers

        from mtgrpo_env.agents.llm.policy import load_model

        transformers.utils.logging.disable_progress_bar()  # it would draw over ours
        model = load_model(source)
        torch.nn.Module.to(model, self._device)
        return self._with(model, source)

    def _with(self, model: Any, source: str) -> LanguageModelPolicy:
        from mtgrpo_env.agents.llm.engines import Decoding
        from mtgrpo_env.agents.llm.policy import LanguageModelPolicy, load_tokenizer

        return LanguageModelPolicy(model, load_tokenizer(source), decoding=Decoding(), seed=self._options.seed)


class _VLLMCheckpoint(_Checkpoint):
    """The same, generating with vLLM."""

    def __init__(self, source: str, options: AgentOptions) -> None:
        require_package("vllm", user=f"the agent 'vllm:{source}'")
        super().__init__(source, options)

    def _sources(self) -> list[str]:
        return [self._source]  # in which the whole model lies

    def _load(self, source: str) -> LanguageModelPolicy:
        from mtgrpo_env.agents.llm.adapters import whole_model
        from mtgrpo_env.agents.llm.policy import model_without_weights
        from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
        from mtgrpo_env.agents.llm.serving.options import VLLMOptions

        source = whole_model(source)
        policy = self._with(model_without_weights(source), source)
        dtype = str(policy.model.config.dtype).removeprefix("torch.")  # by itself vLLM would round float32
        memory = VLLMOptions(model=source, dtype=dtype, memory_share=self._options.vllm_memory)
        policy.engine = VLLMRolloutEngine(memory, end_ids=policy.end_ids)
        return policy


class _Endpoint(Agent):
    """A model behind an endpoint."""

    def __init__(self, api: str, name: str, options: AgentOptions) -> None:
        with imports_for("a model behind an endpoint"):
            from mtgrpo_env.agents.endpoints.openai_server import Chat, Completions, OpenAIServer
            from mtgrpo_env.agents.endpoints.prompts import WRITERS
            from mtgrpo_env.agents.endpoints.replies import CachedServer

        parts = re.fullmatch(r"(.+?)@(https?://.+)", name, flags=re.IGNORECASE)
        if parts is None:
            raise ValueError(f"expected '{api}:<model>@<base url>', got {redacted(f'{api}:{name}')!r}")
        forms = _FORMS[api]
        form = options.prompt or forms[0]
        if form not in forms:
            raise ValueError(f"agents {api}: take prompt {' or '.join(forms)}, got {form}")
        if form == "paper":
            options = replace(options, stop=(*options.stop, *NEXT_TURNS))
        server = OpenAIServer(
            parts[1],
            parts[2],
            api=Chat() if api == "openai" else Completions(),
            fields={**_decoding_fields(options), **_template_fields(options, form), **_fields(options)},
            seed=options.seed,
            retries=options.retries,
            patience=options.patience,
        )
        self._server = CachedServer(server, options.cache)
        self._writer, self.options, self._options = WRITERS[form], replace(options, prompt=form), options

    def play(self, problem_set: ProblemSet, on_group: GroupCallback, on_response: ResponseCallback) -> LeftOut:
        from mtgrpo_env.agents.endpoints.policy import EndpointPolicy

        _check_text(problem_set)
        examples = worked_examples(problem_set.suite, self._options.examples)
        prompts = self._writer(replace(self._options.frame, examples=examples.turns))
        policy = EndpointPolicy(self._server, prompts, concurrency=self._options.concurrency)
        _evaluate(_Counted(policy, on_response), problem_set, self._options.rollouts, on_group)
        return ()

    def close(self) -> None:
        self._server.close()

    def usage(self, extras: Any) -> TokenUsage:
        return TokenUsage(extras.prompt_tokens, extras.completion_tokens, extras.is_truncated, extras.empty or "")

    @property
    def reused(self) -> int:
        return self._server.hits


_KINDS: Mapping[str, Callable[[str, AgentOptions], Agent]] = {
    "hf": _Checkpoint,
    "vllm": _VLLMCheckpoint,
    "openai": lambda name, options: _Endpoint("openai", name, options),
    "completions": lambda name, options: _Endpoint("completions", name, options),
}


class _Counted:
    """A policy that reports each response as it arrives, which shows progress long before a problem is done."""

    def __init__(self, policy: StreamingPolicy, on_response: ResponseCallback) -> None:
        self._policy, self._on_response = policy, on_response

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        return self._policy.act(observations, task_ids, deterministic=deterministic)

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, Any, Any]]:
        for choice in self._policy.stream(observations, task_ids, deterministic=deterministic):
            self._on_response()
            yield choice


def _is_policy(thing: object) -> TypeGuard[Policy]:
    return hasattr(thing, "act") and not isinstance(thing, type)


def _evaluate(policy: Policy, problem_set: ProblemSet, rollouts: int, on_group: GroupCallback) -> None:
    suite, problems = problem_set.suite, problem_set.problems
    evaluate_policy(suite, policy, problems, rollouts_per_problem=rollouts, on_group=on_group)


def _check_text(problem_set: ProblemSet) -> None:
    suite = problem_set.suite
    others = [suite.names[k] for k in range(suite.num_tasks) if not plays_text(suite, k)]
    if others:
        raise Unplayable(f"this agent plays text tasks, but {', '.join(others)} of {problem_set.name} are none")


def _with_room(policy: LanguageModelPolicy, problem_set: ProblemSet) -> tuple[ProblemSet, LeftOut]:
    """The problems whose prompts leave room for a response, and the others.

    Raises:
        Unplayable: if none does.
    """
    from mtgrpo_env.agents.llm.prompts import encode_usable

    suite, problems = problem_set.suite, problem_set.problems
    openings = [(problem.task_id, opening) for problem in problems if (opening := suite.opening(problem))]
    texts, task_ids = [opening.prompt for _, opening in openings], [task_id for task_id, _ in openings]
    prompts = encode_usable(policy.prompts, texts, task_ids, policy.check)
    if (first := next((prompt for prompt in prompts if not isinstance(prompt, ValueError)), None)) is not None:
        sample = policy.tokenizer.decode(list(first))
        _LOG.info("%s: prompts are written as %s, for example %r", problem_set.name, policy.prompts.name, sample)
    has_room = [not isinstance(prompt, ValueError) and policy.room(prompt) > 0 for prompt in prompts]
    if prompts and all(isinstance(prompt, ValueError) for prompt in prompts):
        raise Unplayable(f"no prompt of {problem_set.name} can be written: {prompts[0]}")
    if not any(has_room):
        raise Unplayable(
            f"no prompt of {problem_set.name} leaves room for a response in the context of {policy.context} tokens"
        )
    left_out = [
        LeftOutProblem.of(suite, problem, _no_room(prompt, policy.context))
        for problem, prompt, fits in zip(problems, prompts, has_room, strict=True)
        if not fits
    ]
    fitting = tuple(problem for problem, fits in zip(problems, has_room, strict=True) if fits)
    return replace(problem_set, problems=fitting), left_out


def _no_room(prompt: Sequence[int] | ValueError, context: int) -> str:
    if isinstance(prompt, ValueError):
        return str(prompt)
    if not prompt:
        return "the prompt is empty"
    return f"the prompt has {len(prompt):,} tokens, which leaves no room for a response in the context of {context:,}"


def _decoding_fields(options: AgentOptions) -> dict[str, Any]:
    """How tokens are drawn, by OpenAI's names; what is at its default is left to the server."""
    fields: dict[str, Any] = {"temperature": options.temperature, "max_tokens": options.max_new_tokens}
    if options.top_p != 1:
        fields["top_p"] = options.top_p
    if options.top_k > 0:  # no field of OpenAI's: vLLM, SGLang and llama.cpp know it
        fields["top_k"] = options.top_k
    if options.stop:
        fields["stop"] = list(options.stop)
    return fields


def _template_fields(options: AgentOptions, form: PromptName) -> dict[str, Any]:
    """The arguments for the chat template, as vLLM and SGLang take them.

    Raises:
        ValueError: if there are some and the prompts are no chats.
    """
    if not options.template_fields:
        return {}
    if form != "chat":
        raise ValueError(f"template_options need prompt chat, got {form}")
    return {"chat_template_kwargs": options.template_fields}


def _fields(options: AgentOptions) -> dict[str, Any]:
    fields = json_object("request", options.request)
    if fixed := _OF_THE_PROMPT.intersection(fields):
        raise ValueError(f"request must leave model and prompt alone, got {sorted(fixed)}")
    return fields
