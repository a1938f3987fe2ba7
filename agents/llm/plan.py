"""What a run would do and how much memory it would take, before any model is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mtgrpo_env.agents.config import TINY_DEFAULTS, RunConfig
from mtgrpo_env.agents.llm.build import build_method, check_engines, check_packages, evaluation_decoding
from mtgrpo_env.agents.llm.context import RunPrompts
from mtgrpo_env.agents.llm.memory import MemoryEstimate, ModelSize, Setup, checkpoint_bytes, estimate_memory
from mtgrpo_env.agents.llm.ranks_torch import launched_ranks
from mtgrpo_env.agents.llm.trained_model import zero_of
from mtgrpo_env.agents.recipes import Method
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.extras import MissingPackageError
from mtgrpo_env.stateful import name_of
from mtgrpo_env.suite import TaskSuite

_RANKS = (1, 2, 8, 16)
_END = 300  # characters of a prompt's beginning and end that are shown
_NAMED = 5  # problems that are left out and named
_LARGE = 10_000_000  # trained parameters that a learning rate for the tiny model destroys
_TUNED = ("weight_decay", "adam_beta1", "adam_beta2", "max_grad_norm", "dtype")
_LABELS = {
    "parameters": "parameters",
    "reference": "reference model",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "buffers": "buffers and copies",
    "activations": "activations",
    "logits": "logits and their gradient",
    "generation": "generation",
    "rollout_engine": "vLLM's share",
    "host": "host memory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that has not begun.

    Attributes:
        title: of the method and the model.
        make_method: the method, new each time: asking a sampler for a plan moves it.
        suite: the tasks.
        group_size: N.
        size: of the model; None where its memory cannot be estimated.
        setup: of the run on one rank.
        prompt_tokens: (K,) of the longest prompt looked at, task by task.
        max_ranks: more cannot train together.
        checkpoints: what is kept of them, and where.
        counted: what those are, where no tokenizer was at hand.
        lacking: what is not installed here and a run would need; "" if nothing.
        sampling: how tokens are drawn, in words.
        prompts: how they are written, where a tokenizer was at hand.
    """

    title: str
    make_method: Callable[[], Method]
    suite: TaskSuite
    group_size: int
    size: ModelSize | None
    setup: Setup
    prompt_tokens: tuple[int, ...]
    max_ranks: int
    checkpoints: str
    sampling: str
    counted: str = "tokens"
    lacking: str = ""
    prompts: RunPrompts | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a step generates.

    Attributes:
        rounds: of generation.
        groups: (K,) generated, or in the first round alone.
    """

    rounds: int
    groups: np.ndarray


def print_plan(plan: Plan, console: Console) -> None:
    """Everything, in the order in which it happens."""
    method = plan.make_method()
    console.print(plan.title, soft_wrap=True)
    console.print(
        f"weights {type(method.task_weights).__name__}, sampler {type(method.sampler).__name__}, "
        f"filter {name_of(method.curriculum(plan.suite).group_filter)}, clip +{method.clip_high}",
        soft_wrap=True,
    )
    console.print(_task_table(plan, method))
    if plan.prompts is not None:
        console.print("\n".join(prompt_lines(plan.prompts, plan.suite.names)), soft_wrap=True)
    console.print(plan.sampling, soft_wrap=True)
    console.print("\n".join(_step_lines(plan, method)), soft_wrap=True)
    if plan.size is None:
        console.print("memory: not estimated, which takes a decoder with attention in every layer", soft_wrap=True)
    else:
        _print_memory(plan, plan.size, console)
    console.print(plan.checkpoints, soft_wrap=True)
    if plan.lacking:
        console.print(f"to run it here: {plan.lacking}", soft_wrap=True)


def _print_memory(plan: Plan, size: ModelSize, console: Console) -> None:
    setups = [replace(plan.setup, ranks=n) for n in _ranks(plan)]
    prompts, rows = setups[0].micro_batch
    console.print(
        f"{size.parameters:,} parameters, {size.trained:,} of them trained; the largest pass holds {rows} "
        f"responses of {plan.setup.response_tokens} tokens to {prompts} prompts of {plan.setup.prompt_tokens}",
        soft_wrap=True,
    )
    console.print(memory_table(size, setups))


def plan_of(config: RunConfig, suite: TaskSuite, prompts: RunPrompts) -> Plan:
    """The plan of a run, given how its prompts are written, and for which model.

    Raises:
        ValueError: if the config cannot work.
    """
    check_engines(config)
    try:
        size = _size_of(config, prompts)
    except ValueError:
        size = None
    return replace(plan_for(config, suite, size, prompts.longest), prompts=prompts)


def plan_for(
    config: RunConfig, suite: TaskSuite, size: ModelSize | None, lengths: tuple[int, ...], *, counted: str = "tokens"
) -> Plan:
    """The plan of a run of a model of this size, if it is known; (K,) `lengths` are those of its longest prompts."""
    folder = RunFolder(config.out)
    newest = folder.newest_checkpoint
    is_whole = config.lora_rank == 0 or config.save_merged
    each = f" of {_amount(checkpoint_bytes(size, zero_of(config).dtype, is_whole=is_whole))}" if size else ""
    model = config.model or "the tiny model, which is built and warm-started on first use"
    return Plan(
        title=f"{config.method}, {config.steps} steps at {config.learning_rate}, {config.loss}{_tuned(config)}; "
        f"{model}",
        make_method=lambda: build_method(config, suite),
        suite=suite,
        group_size=config.group_size,
        size=size,
        setup=setup_of(config, build_method(config, suite), max(lengths), ranks=launched_ranks()),
        prompt_tokens=lengths,
        max_ranks=1 if config.engine == "torch" else config.batch_size * config.group_size,
        checkpoints=f"checkpoints{each} every "
        f"{config.checkpoint_every} steps in {folder.checkpoints}, of which the {config.keep_checkpoints} "
        f"newest and the best are kept; {f'the run resumes from {newest.name}' if newest else 'there is none yet'}",
        sampling=sampling_line(config),
        counted=counted,
        lacking=_lacking(config),
    )


def _tuned(config: RunConfig) -> str:
    """The options of AdamW, and of precision, that are not the default."""
    return "".join(f", {name} {config.changed[name]}" for name in _TUNED if name in config.changed)


def _lacking(config: RunConfig) -> str:
    try:
        check_packages(config)
    except MissingPackageError as error:
        return str(error)
    return ""


def memory_of(config: RunConfig, suite: TaskSuite, prompts: RunPrompts, *, ranks: int) -> str:
    """The estimate of a run in a line, beside what this GPU has."""
    setup = setup_of(config, build_method(config, suite), max(prompts.longest), ranks=ranks)
    try:
        estimate = estimate_memory(_size_of(config, prompts), setup)
    except ValueError as error:
        return f"memory: not estimated, {error}"
    named = {label: getattr(estimate, name) for name, label in _LABELS.items()}
    parts = ", ".join(f"{label} {_amount(value)}" for label, value in named.items() if value)
    return f"memory: about {_amount(estimate.total)}{_beside_device(estimate)} ({parts})"


def high_lr(config: RunConfig, prompts: RunPrompts) -> str:
    """What is to be said of a learning rate that suits small models alone; "" if nothing."""
    try:
        trained = _size_of(config, prompts).trained
    except ValueError:
        return ""
    if trained < _LARGE or config.lr < TINY_DEFAULTS["lr"]:
        return ""
    return f"lr is {config.lr:g}, for {trained:,} trained parameters; models of this size take 1e-6 to 1e-5"


def _size_of(config: RunConfig, prompts: RunPrompts) -> ModelSize:
    return ModelSize.of(prompts.model_config, lora_rank=config.lora_rank, lora_targets=config.lora_targets)


def sampling_line(config: RunConfig) -> str:
    """How tokens are drawn in training and in evaluations."""
    evaluated = evaluation_decoding(config)
    return (
        f"sampling: up to {config.max_new_tokens:,} tokens, temperature {config.temperature:g}"
        f"{', stratified' if config.stratified else ''}; in evaluations temperature {evaluated.temperature:g}, "
        f"top-p {evaluated.top_p:g}, top-k {evaluated.top_k or 'all'}"
    )


def prompt_lines(prompts: RunPrompts, names: Sequence[str]) -> list[str]:
    """How prompts are written, one of each of the K tasks as the model sees it, and what is left out."""
    lines = [f"prompts: {prompts.format.name}, for example"]
    lines += [f"  {name}: {_cut(sample)}" for name, sample in zip(names, prompts.samples, strict=True)]
    if prompts.left_out:
        named = ", ".join(f"{problem.place} ({problem.reason})" for problem in prompts.left_out[:_NAMED])
        more = f" and {len(prompts.left_out) - _NAMED} more" if len(prompts.left_out) > _NAMED else ""
        lines.append(f"left out, since they leave no room for a response: {named}{more}")
    return lines


def _cut(text: str) -> str:
    """The two ends of a text, in quotes."""
    if len(text) <= 2 * _END:
        return repr(text)
    return f"{text[:_END]!r} ... {text[-_END:]!r} ({len(text):,} characters)"


def setup_of(config: RunConfig, method: Method, prompt_tokens: int, *, ranks: int) -> Setup:
    """The part of a run on which memory depends."""
    first_round = int(sampled(method, 1.0).groups.sum()) * config.group_size
    return Setup(
        trainer=config.engine,
        ranks=ranks,
        zero_stage=config.zero_stage,
        dtype=zero_of(config).dtype,
        autocast=config.is_autocast,
        offload=config.offload,
        recomputes=config.activation_checkpointing,
        has_reference=config.kl_coef > 0,
        prompt_tokens=prompt_tokens,
        response_tokens=config.max_new_tokens,
        tokens_per_forward=config.tokens_per_forward,
        group_size=config.group_size,
        minibatch_groups=math.ceil(config.batch_size / config.minibatches),
        round_rollouts=first_round if config.rollouts == "transformers" else 0,
        engine_share=config.vllm_memory if config.rollouts == "vllm" else 0.0,
        engine_sleeps=config.vllm_sleep > 0,
    )


def sampled(method: Method, share: float) -> Sampled:
    """What a first step generates if this share of groups is informative."""
    plan, rng = method.sampler.plan(method.task_weights.probabilities), np.random.default_rng(0)
    while proposal := plan.propose():
        plan.report(proposal, (rng.random(len(proposal)) < share).tolist())
    return Sampled(plan.rounds, plan.generated)


def memory_table(size: ModelSize, setups: Sequence[Setup]) -> Table:
    """One column for each number of GPUs."""
    estimates = [estimate_memory(size, setup) for setup in setups]
    table = Table()
    table.add_column("memory of each GPU")
    for setup in setups:
        table.add_column(f"{setup.ranks} GPU{'s' if setup.ranks > 1 else ''}", justify="right")
    for name, label in _LABELS.items():
        values = [getattr(estimate, name) for estimate in estimates]
        if any(values):
            table.add_row(label, *map(_amount, values))
    table.add_section()
    table.add_row("at the most", *(_amount(estimate.total) for estimate in estimates))
    return table


def _beside_device(estimate: MemoryEstimate) -> str:
    if not torch.cuda.is_available():
        return ""
    total = torch.cuda.get_device_properties(0).total_memory
    return f" of {_amount(total)}" + (": it may run out" if estimate.total > total else "")


def _ranks(plan: Plan) -> list[int]:
    return sorted({n for n in (*_RANKS, plan.setup.ranks) if n <= plan.max_ranks and n >= plan.setup.ranks})


def _task_table(plan: Plan, method: Method) -> Table:
    first = sampled(plan.make_method(), 1.0)
    table = Table()
    for column in ("task", "weight", "groups in the first round", "longest prompt"):
        table.add_column(column, justify="left" if column == "task" else "right")
    columns = zip(plan.suite.names, method.task_weights.probabilities, first.groups, plan.prompt_tokens, strict=True)
    for name, weight, groups, tokens in columns:
        table.add_row(name, f"{weight:.2f}", f"{groups}", f"{tokens:,} {plan.counted}")
    return table


def _step_lines(plan: Plan, method: Method) -> list[str]:
    batch = method.sampler.batch_size
    lines = [f"a step trains on {batch} prompts x {plan.group_size} = {batch * plan.group_size:,} rollouts"]
    cases: dict[str, list[str]] = {}
    for share, meaning in ((1.0, "every"), (0.5, "every second"), (0.0, "no")):
        of_step = sampled(plan.make_method(), share)
        rollouts = int(of_step.groups.sum()) * plan.group_size
        generated = (
            f"it generates {rollouts:,} in {of_step.rounds} round{'s' if of_step.rounds > 1 else ''}, up to "
            f"{rollouts * plan.setup.response_tokens:,} tokens of responses"
        )
        cases.setdefault(generated, []).append(meaning)
    if len(cases) == 1:
        return [*lines, *cases]
    return [*lines, *(f"{text}, if {' or '.join(of)} group carries a gradient" for text, of in cases.items())]


def _amount(count: int) -> str:
    """Three digits of a number of bytes."""
    exponent = min(3, int(math.log10(max(count, 1))) // 3)
    return f"{count / 1000**exponent:.3g} {('B', 'kB', 'MB', 'GB')[exponent]}"
