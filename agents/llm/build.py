"""What is built from a config: the method, the learner, and the engines that train and generate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.llm.adapters import whole_model
from mtgrpo_env.agents.llm.context import RunPrompts
from mtgrpo_env.agents.llm.data import num_tokens
from mtgrpo_env.agents.llm.devices import device_of
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine, TrainEngine
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.precision import Autocast, autocast_log_probs, bfloat16_autocast
from mtgrpo_env.agents.llm.prefix import completion_log_probs, full_sequence_log_probs
from mtgrpo_env.agents.llm.prompts import TokenIds
from mtgrpo_env.agents.llm.ranks_torch import TorchRanks, launched_ranks
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.stopping import text_of
from mtgrpo_env.agents.llm.trained_model import reference_model, trained_model, zero_of
from mtgrpo_env.agents.llm.weight_sync import CheckedEngine, trainer_log_probs
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.losses import Objective, named_importance, named_objective
from mtgrpo_env.agents.ranks import OneRank, Ranks
from mtgrpo_env.agents.recipes import Method, RunFacts, make_method
from mtgrpo_env.extras import require_package
from mtgrpo_env.filters import FILTERS
from mtgrpo_env.shares import GroupMeasure, absolute_advantage, count_groups
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.truncation import CHANGES

if TYPE_CHECKING:
    from mtgrpo_env.agents.llm.learner import LogProbs

SHARED_BY: Mapping[str, GroupMeasure] = {
    "prompts": count_groups,
    "tokens": num_tokens,
    "advantages": absolute_advantage,
}
_TOLERANCES = {"float32": 1e-3, "bfloat16": 0.3}  # of log-probabilities of one model in two engines


def build_agent(
    config: RunConfig, suite: TaskSuite, source: str, prompts: RunPrompts, ranks: Ranks | None = None
) -> MTGRPOAgent:
    """The agent that a config describes, at its first step; each rank has one.

    Args:
        config: of the run.
        suite: text tasks.
        source: the starting model, a folder or a hub id.
        prompts: how they are written.
        ranks: as `init_ranks` gave them; by default this process alone.
    """
    ranks = ranks or OneRank()
    method = build_method(config, suite)
    source = start_of(config, source)
    openings = enumerate(map(suite.opening, suite.held_out(1)))
    probes = [prompts.format.encode([opening.prompt], [k])[0] for k, opening in openings if opening is not None]
    policy, engine = build_policy(config, source, prompts, ranks=ranks, probes=probes)
    learner = LanguageModelLearner(
        policy,
        engine,
        objective=build_objective(config),
        reference=reference_model(config, source, str(policy.model.device)) if config.kl_coef else None,
        num_minibatches=config.minibatches,
        num_passes=config.passes,
        tokens_per_forward=config.tokens_per_forward,
        max_step_kl=config.max_step_kl,
        log_probs=log_probs_of(config),
        learning_rate=config.learning_rate,
        seed=config.seed,
    )
    return MTGRPOAgent(
        suite,
        policy,
        learner,
        method=method,
        group_size=config.group_size,
        min_group_size=config.min_group_size,
        batch_size=config.batch_size,
        share_by=SHARED_BY[config.share_by],
        change=CHANGES[config.truncated](config.max_new_tokens),
        ranks=ranks,
        seed=config.seed,
    )


def build_objective(config: RunConfig) -> Objective:
    """What the config's learner maximises; the clip of the method is added by the agent."""
    objective = named_objective(config.loss, max_tokens=config.max_new_tokens, kl_coef=config.kl_coef)
    return replace(objective, importance=named_importance(config.importance, config.importance_cap))


def build_method(config: RunConfig, suite: TaskSuite) -> Method:
    """The method that a config names, for a suite.

    Tasks of one kind, "zebra-easy" and "zebra-hard", are a family to the methods that train family by family.

    Raises:
        ValueError: if there is no such method, or it does not take an option that was given.
    """
    kinds = [name.partition("-")[0] for name in suite.names]
    families = tuple(tuple(k for k, own in enumerate(kinds) if own == kind) for kind in dict.fromkeys(kinds))
    facts = RunFacts(
        suite.num_tasks,
        config.batch_size,
        config.seed,
        num_steps=config.steps,
        families=families,
        policy_lr=config.lr,
    )
    method = make_method(config.method, facts, **config.method_options)
    return method if config.filter is None else replace(method, group_filter=FILTERS[config.filter])


def autocast_of(config: RunConfig) -> Autocast:
    """Entered around the passes of a model in generation and training: parameters of bfloat16 need none.

    Raises:
        ValueError: if the device does not compute in bfloat16.
    """
    return bfloat16_autocast(device_of(config.device)) if config.is_autocast else nullcontext


def log_probs_of(config: RunConfig) -> LogProbs:
    """How a model is run over completions in training: each prompt once, unless that would cost memory."""
    # With partitioned parameters whole layers would be held between two passes.
    is_partitioned = config.engine == "deepspeed" and config.zero_stage == 3
    is_full = config.activation_checkpointing or is_partitioned
    return autocast_log_probs(full_sequence_log_probs if is_full else completion_log_probs, autocast_of(config))


def check_engines(config: RunConfig) -> None:
    """Refuse what cannot work among these processes, before anything is built.

    Raises:
        ValueError: naming the option.
    """
    zero_of(config)  # refuses by itself
    device_of(config.device)
    autocast_of(config)
    if config.engine == "torch" and launched_ranks() > 1:
        raise ValueError(f"{launched_ranks()} processes need --engine deepspeed, got {config.engine!r}")


def check_packages(config: RunConfig) -> None:
    """Make sure of what the engines need; a plan needs none of it, and may be made elsewhere than the run.

    Raises:
        MissingPackageError: naming the option and the extra.
    """
    needed = {
        "deepspeed": (config.engine == "deepspeed", "engine deepspeed"),
        "accelerate": (config.engine == "deepspeed", "engine deepspeed"),
        "vllm": (config.rollouts == "vllm", "rollouts vllm"),
        "peft": (config.lora_rank > 0, "lora_rank"),
        **{tracker: (True, f"report_to {tracker}") for tracker in config.report_to if tracker != "none"},
    }
    for package, (is_needed, option) in needed.items():
        if is_needed:
            require_package(package, user=option)


def start_of(config: RunConfig, source: str) -> str:
    """Where a run's model is loaded from: of a source of adapters the merged model, where an engine reads no adapters.

    Raises:
        ValueError: if there is none.
    """
    reads_adapters = not config.lora_rank and config.rollouts != "vllm" and zero_of(config).stage < 3
    return source if reads_adapters else whole_model(source)


def init_ranks(config: RunConfig) -> Ranks:
    """The processes that train together, once they have found each other."""
    if config.engine == "torch":
        return OneRank()
    from mtgrpo_env.agents.llm.zero.process_group import join_process_group

    join_process_group()
    return TorchRanks()


def leave_ranks(ranks: Ranks) -> None:
    """Leave the process group at the end, without which torch complains."""
    if isinstance(ranks, TorchRanks) and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def build_policy(
    config: RunConfig, source: str, prompts: RunPrompts, *, ranks: Ranks, probes: Sequence[TokenIds]
) -> tuple[LanguageModelPolicy, TrainEngine]:
    """The policy that starts at a model, and the engine that trains it.

    Args:
        config: which engines.
        source: folder or hub id.
        prompts: how they are written.
        ranks: as `init_ranks` gave them.
        probes: prompts, one of each task, on which a vLLM engine is compared with the trainer after every update.
    """
    trained = trained_model(config, source, prompts.tokenizer)
    model, trainer = trained.model, trained.engine
    policy = LanguageModelPolicy(
        model,
        prompts.tokenizer,
        decoding=Decoding(config.max_new_tokens, config.temperature, stop=config.stop, stratified=config.stratified),
        evaluation_decoding=evaluation_decoding(config),
        prompts=prompts.format,
        parameters=trained.parameters,
        stored=trained.stored,
        ranks=ranks,
        seed=config.seed,
    )
    if config.rollouts != "transformers":
        policy.engine = _checked_vllm(config, source, policy, probes)
    else:
        policy.engine = TransformersEngine(
            model,
            pad_id=policy.pad_id,
            end_ids=policy.end_ids,
            decode=partial(text_of, prompts.tokenizer),
            whole=trainer.gathered if config.engine == "deepspeed" else nullcontext,
            autocast=autocast_of(config),
        )
    return policy, trainer


def evaluation_decoding(config: RunConfig) -> Decoding:
    """How tokens are drawn in the evaluations of a run."""
    temperature = config.temperature if config.eval_temperature is None else config.eval_temperature
    return Decoding(config.max_new_tokens, temperature, config.eval_top_p, config.eval_top_k, config.stop)


def _checked_vllm(
    config: RunConfig, source: str, policy: LanguageModelPolicy, probes: Sequence[TokenIds]
) -> RolloutEngine:
    engine = _vllm_in_process(config, source, policy) if config.rollouts == "vllm" else _vllm_servers(config, policy)
    return CheckedEngine(
        engine,
        partial(
            trainer_log_probs,
            policy.model,
            temperature=policy.decoding.temperature,
            pad_id=policy.pad_id,
            log_probs=log_probs_of(config),
        ),
        list(probes),
        tolerance=_TOLERANCES[config.dtype],
        decoding=Decoding(min(8, policy.decoding.max_new_tokens), policy.decoding.temperature),
        ranks=policy.ranks,
    )


def _vllm_in_process(config: RunConfig, source: str, policy: LanguageModelPolicy) -> RolloutEngine:
    from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
    from mtgrpo_env.agents.llm.serving.options import VLLMOptions

    memory = VLLMOptions(model=source, dtype=config.dtype, memory_share=config.vllm_memory)
    level = config.vllm_sleep
    return VLLMRolloutEngine(memory, end_ids=policy.end_ids, sleep_level=level)  # pyright: ignore[reportArgumentType]


def _vllm_servers(config: RunConfig, policy: LanguageModelPolicy) -> RolloutEngine:
    from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
    from mtgrpo_env.agents.llm.serving.process import connected_server
    from mtgrpo_env.agents.llm.serving.weights import server_weight_sync

    servers = [connected_server(url) for url in config.server_urls]
    return VLLMServerEngine(servers, end_ids=policy.end_ids, sync=server_weight_sync(servers), ranks=policy.ranks)
