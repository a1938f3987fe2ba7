"""What a training run is configured by: flat in Python and in YAML, in groups on the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from mtgrpo_env.agents.neural.schedules import LearningRate
from mtgrpo_env.agents.recipes import DEFAULT_METHOD, named_method, options_of
from mtgrpo_env.files import atomic_file
from mtgrpo_env.named_objects import did_you_mean
from mtgrpo_env.problem_lists import SOLVED_FLOOR, checked_floor
from mtgrpo_env.prompt_options import PromptOptions
from mtgrpo_env.row_options import RowOptions, listed
from mtgrpo_env.task_registry import is_rows
from mtgrpo_env.truncation import TruncatedRollouts


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is trained on, for how long, and what is kept of it."""

    out: Path = Path("runs/main")
    """Folder of the run: checkpoints, history, TensorBoard events, figure."""
    tasks: tuple[str, ...] | None = None
    """Tasks or suites by name (mini, easy, "countdown-easy,arc-hard"), "package.module:Class",
    "reasoning-gym:chain_sum", or files, folders and hub data sets of rows (sums.jsonl, hf:openai/gsm8k), of which those
    that are not marked train are held out. By default mini for the tiny model, whose notation no other knows, and easy
    for others."""
    steps: int = 60
    """Training steps; a run may be resumed for more, unless its method divides them (the sequential ones), or its
    learning rate falls over them."""
    seed: int = 0
    """Of everything."""
    eval_problems: int | None = None
    """Held-out problems of each task; by default 300 for the tiny model and 100 for others."""
    eval_every: int = 10
    """Steps between evaluations."""
    checkpoint_every: int = 10
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept; the one whose worst task was best is kept beside them."""


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How tasks are weighted and batches composed."""

    method: str = DEFAULT_METHOD
    """A recipe by name, or "package.module:function" for one of your own."""
    tolerance: float | None = None
    """How far a task's accuracy may be below the average before it is given more of the batch; 0.05 are five points.
    This and the next three: by default the method's own, and refused by a method that has no such option."""
    reward_coef: float | None = None
    """Weight of the reward against the improvement (λ), in the paper's task weights."""
    weight_lr: float | None = None
    """Learning rate of the paper's task weights (β)."""
    weight_optimizer: Literal["adam", "adamw", "gradient-descent"] | None = None
    """Of the logits of those; with gradient-descent λ decides how far they go."""
    max_replayed: float | None = None
    """Largest share of a batch that may be groups generated for earlier ones, of a method with a replay buffer; by
    default all of it. Lower it where most of a late batch is replayed: it is old data where fresh would be needed."""
    filter: Literal["success", "reward"] | None = None
    """Which groups are informative: success for those with right and wrong responses, reward for those whose rewards
    differ, so that graded rewards and the form of an answer teach too; by default the method's own."""
    share_by: Literal["prompts", "tokens", "advantages"] = "prompts"
    """What a task's share of the loss is counted by; tokens go with the loss token-mean."""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Sizes of a batch."""

    batch_size: int = 32
    """Groups in a batch (B)."""
    group_size: int = 8
    """Rollouts of a problem (N); at least 2, since an advantage is relative to the other rollouts."""
    truncated: TruncatedRollouts = "keep"
    """What is made of responses that were cut off at max_new_tokens: keep trains on them like on others, mask learns
    nothing from them, penalty takes up to 1 from the reward as a response uses up the last fifth of its tokens."""
    solved_floor: float = SOLVED_FLOOR
    """Rows whose rollouts are all correct are drawn less and less often, down to this share of the epochs; 1 draws all
    alike."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The model that is trained."""

    model: str | None = None
    """Starting model, a folder or a hub id; by default a tiny one, built and warm-started once."""
    start: Literal["unequal", "rare"] = "unequal"
    """How the tiny model is warm-started: some tasks much better than others (unequal), or one next to never (rare)."""
    lora_rank: int = 0
    """Rank of adapters that are trained instead of the model; 0 trains the model."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """That the model computes in. With engine torch parameters stay float32 and bfloat16 is autocast, on devices that
    have it; with DeepSpeed they are bfloat16, and steps are taken on a float32 copy."""
    activation_checkpointing: bool = False
    """Compute activations twice instead of keeping them; every row then has its own copy of the prompt."""
    device: str = "auto"
    """Where the model runs; auto is the accelerator that torch finds, else the CPU."""


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """The loss, and the engine that trains; no engine changes what is computed, but for rounding."""

    lr: float | None = None
    """Learning rate of the model, the highest of its schedule; by default 4e-4 for the tiny one and 1e-6 for others."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Of the learning rate after the warm-up, over the steps of the run, which may then not change when it is
    resumed."""
    lr_floor: float = 0.2
    """Learning rate of the last step of a linear or cosine schedule, as a share of the highest. With a fifth the last
    steps still count; a fall to it made twice the rate usable in our comparisons."""
    warmup_steps: int = 0
    """Training steps over which the learning rate rises first."""
    weight_decay: float = 0.0
    """Of AdamW, decoupled, on everything that is trained."""
    adam_beta1: float = 0.9
    """How much of its past AdamW's mean gradient keeps in a step."""
    adam_beta2: float = 0.999
    """The same of the mean squared gradient."""
    max_grad_norm: float = 1.0
    """Gradients of a larger norm are scaled down to this."""
    minibatches: int = 4
    """Optimiser steps for each batch; by default fewer if it has fewer groups."""
    loss: Literal["sequence-mean", "token-mean", "group-mean", "dr-grpo", "gspo"] = "sequence-mean"
    """How tokens are averaged, or whose objective it is."""
    kl_coef: float = 0.0
    """Weight of the divergence from the starting model (β); above 0 that model is kept in memory too."""
    max_step_kl: float | None = None
    """Divergence, in nats a token, of the policy from the one that sampled, beyond which the rest of a batch's
    minibatches is skipped: a step too far is the last on its batch. By default none is."""
    importance: Literal["none", "token", "sequence"] = "none"
    """Truncated importance sampling for the mismatch of the engines that generate and train, by ratios of tokens or
    of sequences. Costs a pass over every batch."""
    importance_cap: float = 2.0
    """Largest weight of that."""
    engine: Literal["torch", "deepspeed"] = "torch"
    """Trains: torch in this process alone, or deepspeed in as many as torchrun or its own launcher started."""
    zero_stage: Literal[0, 2, 3] = 2
    """What DeepSpeed partitions among GPUs: 0 nothing, 2 gradients and optimizer state, 3 parameters as well."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What DeepSpeed keeps in the host's memory: nothing, the optimizer (ZeRO 2 and 3) or all (ZeRO 3)."""
    tokens_per_forward: int = 16_384
    """Tokens in one training pass, padding included; lower it when memory runs out, no result changes."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How responses are generated."""

    max_new_tokens: int | None = None
    """Longest response, in tokens; by default 16 for the tiny model and 512 for others."""
    temperature: float = 1.0
    """Of sampling in training; above 0, or all rollouts of a problem would be the same."""
    stop: tuple[str, ...] = ()
    """Strings that end a response, which is scored as it stands before them, such as "User:" for a base model; what
    was drawn of them is trained on. A line break is $'\n' in most shells."""
    eval_temperature: float | None = None
    """Of sampling in evaluation; 0 takes the likeliest token. By default as in training."""
    eval_top_p: float = 1.0
    """In evaluation, draw among the likeliest tokens that have this probability together."""
    eval_top_k: int = 0
    """In evaluation, draw among this many of the likeliest tokens; 0 for all."""
    rollouts: str = "transformers"
    """Generates: transformers, with the model that is trained; vllm, in this process; or URLs of vLLM servers,
    separated by commas."""
    vllm_memory: float = 0.3
    """Share of the GPU's memory for vLLM in this process, its weights and its cache."""
    vllm_sleep: Literal[0, 1] = 0
    """While training, vLLM in this process keeps its memory (0), or moves its weights to the host (1)."""


GROUPS: Mapping[str, type[Any]] = {
    "run": RunOptions,
    "rows": RowOptions,
    "method": MethodOptions,
    "sampling": SamplingOptions,
    "model": ModelOptions,
    "optimizer": OptimizerOptions,
    "prompts": PromptOptions,
    "generation": GenerationOptions,
}
"""Groups of options, as the command line and the file of a run show them."""

TINY_DEFAULTS: Mapping[str, Any] = {"tasks": ("mini",), "eval_problems": 300, "lr": 4e-4, "max_new_tokens": 16}
"""Of the options whose default depends on the model: those of the tiny one."""

MODEL_DEFAULTS: Mapping[str, Any] = {"tasks": ("easy",), "eval_problems": 100, "lr": 1e-6, "max_new_tokens": 512}
"""The same for a model that is given; the learning rate is the paper's."""

MAY_CHANGE = frozenset(
    {"out", "steps", "eval_every", "checkpoint_every", "keep_checkpoints", "device", "activation_checkpointing"}
    | {"engine", "zero_stage", "offload", "tokens_per_forward", "rollouts", "vllm_memory", "vllm_sleep"}
)
"""Options that may differ when a run is resumed."""

METHOD_OPTIONS = ("tolerance", "reward_coef", "weight_lr", "weight_optimizer", "max_replayed")
_AT_LEAST = {
    "group_size": 2,  # one rollout is its own mean: no advantage, no gradient
    **dict.fromkeys(("batch_size", "minibatches", "max_new_tokens", "tokens_per_forward"), 1),
    **dict.fromkeys(("eval_problems", "eval_every", "checkpoint_every", "keep_checkpoints", "importance_cap"), 1),
    **dict.fromkeys(("steps", "seed", "lora_rank", "kl_coef", "eval_temperature", "eval_top_k"), 0),
    **dict.fromkeys(("weight_decay", "adam_beta1", "adam_beta2"), 0),
}
_ABOVE_0 = ("lr", "temperature", "eval_top_p", "vllm_memory", "max_grad_norm")
_BELOW_1 = ("adam_beta1", "adam_beta2")
_KINDS = {int: "an integer", float: "a finite number", bool: "true or false", str: "a string", Path: "a path"}


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainConfig(  # a dataclass takes its fields from the last base first
    GenerationOptions,
    PromptOptions,
    OptimizerOptions,
    ModelOptions,
    SamplingOptions,
    MethodOptions,
    RowOptions,
    RunOptions,
):
    """Every option of a training run.

    Raises:
        ValueError: naming the option, what is expected and what was given; also for one that means nothing to the
            method or the engines that were chosen.

    >>> TrainConfig(steps=200, group_size=4)
    TrainConfig(steps=200, group_size=4)
    """

    def __post_init__(self) -> None:
        for name, hint in _hints().items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), hint))
        for name, least in _AT_LEAST.items():
            if (value := getattr(self, name)) is not None and not value >= least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        for name in _ABOVE_0:
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        for name in _BELOW_1:
            if not getattr(self, name) < 1:
                raise ValueError(f"{name} must be below 1, got {getattr(self, name)}")
        self.check_prompts()
        self._schedule(1.0)  # refuses by itself
        if self.max_step_kl is not None and not self.max_step_kl > 0:
            raise ValueError(f"max_step_kl must be above 0, got {self.max_step_kl}")
        checked_floor(self.solved_floor)
        _ = self.column_names, self.rewards  # refuse by themselves
        if not all(self.stop):
            raise ValueError(f"stop must be strings, none of them empty, got {self.stop!r}")
        self._check_combinations()
        takes = options_of(named_method(self.method))
        for name in self.method_options:
            if name not in takes:
                raise ValueError(f"{name} is no option of the method {self.method!r}, which takes {sorted(takes)}")

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.changed.items())
        return f"TrainConfig({given})"

    @property
    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    @property
    def plain(self) -> dict[str, Any]:
        """Every option as the file of a run holds it."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @property
    def method_options(self) -> dict[str, Any]:
        """The options of the method that were given."""
        return {name: value for name in METHOD_OPTIONS if (value := getattr(self, name)) is not None}

    def for_run(self) -> RunConfig:
        """The config with every option that was left open filled in, by the model."""
        defaults = TINY_DEFAULTS if self.model is None else MODEL_DEFAULTS
        given = {field.name: getattr(self, field.name) for field in fields(TrainConfig)}
        return RunConfig(**given | {name: value for name, value in defaults.items() if given[name] is None})

    def _schedule(self, lr: float) -> LearningRate:
        return LearningRate(
            lr,
            num_steps=self.steps,
            schedule=self.lr_schedule,
            floor=self.lr_floor,
            warmup_steps=self.warmup_steps,
        )

    @property
    def is_autocast(self) -> bool:
        """Whether the model computes in bfloat16 with parameters in float32."""
        return self.dtype == "bfloat16" and self.engine == "torch"

    @property
    def server_urls(self) -> list[str]:
        """Of the vLLM servers that generate; none if something else does."""
        urls = self.rollouts.split(",")
        return urls if all(url.startswith(("http://", "https://")) for url in urls) else []

    def check_start(self) -> None:
        """Make sure that there is a model to start from; called once the tasks have been read.

        Raises:
            ValueError: if the tiny model would have to start on rows.
        """
        if self.model is None and (
            rows := [part for task in self.tasks or () for part in task.split(",") if is_rows(part.strip())]
        ):
            raise ValueError(
                f"rows need a model ({', '.join(rows)}), as in --model Qwen/Qwen2.5-0.5B-Instruct: the tiny one is "
                "warm-started on generated puzzles only (examples/own_rows makes one for rows)"
            )

    def _check_combinations(self) -> None:
        if self.minibatches > self.batch_size and "minibatches" in self.changed:  # the default is cut by itself
            groups = f"batch_size, {self.batch_size} groups"
            raise ValueError(f"minibatches must be at most {groups}, got {self.minibatches}")
        if self.eval_top_p > 1:
            raise ValueError(f"eval_top_p must be at most 1, got {self.eval_top_p}")
        if self.vllm_memory > 1:
            raise ValueError(f"vllm_memory must be at most 1, the whole GPU, got {self.vllm_memory}")
        if not (self.rollouts in ("transformers", "vllm") or self.server_urls):
            raise ValueError(f"rollouts must be transformers, vllm or http:// URLs, got {self.rollouts!r}")
        self._refuse_unless(self.engine == "deepspeed", "engine deepspeed", "zero_stage", "offload")
        self._refuse_unless(self.rollouts == "vllm", "rollouts vllm", "vllm_memory", "vllm_sleep")
        self._refuse_unless(self.importance != "none", "importance token or sequence", "importance_cap")
        self._refuse_unless(self.lr_schedule != "constant", "lr_schedule linear or cosine", "lr_floor")
        self._refuse_unless(self.model is None, "the tiny model", "start")

    def _refuse_unless(self, is_used: bool, by: str, *names: str) -> None:
        for name in names:
            if not is_used and name in self.changed:
                raise ValueError(f"{name} needs {by}, which is not chosen: got {name}={getattr(self, name)!r}")

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """The config in a YAML file, such as a run's `config.yaml`; what it leaves out has its default.

        Raises:
            ValueError: naming the file, and the option that is unknown or has a wrong value.
        """
        hints = _hints()
        values: dict[str, Any] = {}
        for name, value in read_yaml(file).items():
            if name not in hints:
                known = did_you_mean(str(name), hints) or f"; expected some of {list(hints)}"
                raise ValueError(f"{file}: there is no option {name!r}{known}")
            values[name] = _number(value) if hints[name] in (float, float | None) else value
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    def write(self, file: str | Path) -> None:
        """Write every option to a YAML file that `read` reads back."""
        import yaml

        parts = []
        for title, group in GROUPS.items():
            values = {field.name: self.plain[field.name] for field in fields(group)}
            text = yaml.safe_dump(values, sort_keys=False)  # in ASCII: PyYAML reads \x85 as a line's end
            parts.append(f"# {title}: {(group.__doc__ or '').splitlines()[0]}\n{text}")
        file = Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as unfinished:  # a kill must not leave half a config
            unfinished.write_text("\n".join(parts), encoding="utf-8")


@dataclass(frozen=True, kw_only=True, repr=False)
class RunConfig(TrainConfig):
    """A config of which nothing is left open; see `TrainConfig.for_run`."""

    tasks: tuple[str, ...]
    eval_problems: int
    lr: float
    max_new_tokens: int

    @property
    def learning_rate(self) -> LearningRate:
        """Of every training step."""
        return self._schedule(self.lr)


def read_yaml(file: str | Path) -> Mapping[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ValueError: if it holds anything else.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(f"{file}: expected options like 'steps: 60', got {values!r:.80}")
    return values or {}


@cache
def _hints() -> dict[str, Any]:
    hints = get_type_hints(TrainConfig)
    return {field.name: hints[field.name] for field in fields(TrainConfig)}


def _checked(name: str, value: Any, hint: Any) -> Any:
    """The value as the type that the hint says, from one that means the same."""
    if get_origin(hint) is UnionType or NoneType in get_args(hint):
        if value is None:
            return None
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if get_origin(hint) is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in get_args(hint)):
            raise ValueError(f"{name} must be one of {list(get_args(hint))}, got {value!r}")
        return value
    if get_origin(hint) in (tuple, Sequence):
        value = listed(value) if isinstance(value, Mapping) else value
        parts = (value,) if isinstance(value, str | Path) else tuple(value) if isinstance(value, list | tuple) else ()
        is_given = bool(parts) or (isinstance(value, list | tuple) and name != "tasks")
        if not is_given or not all(isinstance(part, str | Path) for part in parts):
            raise ValueError(f"{name} must be a string, or at least one in a list, got {value!r}")
        return tuple(map(str, parts))
    if hint is float and isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, hint) and hint in (bool, str, Path):
        return value
    if hint in (str, Path) and isinstance(value, str | Path):
        return hint(value)
    raise ValueError(f"{name} must be {_KINDS[hint]}, got {value!r}")


def _number(value: Any) -> Any:
    """YAML 1.1 takes 4e-4 for a string, since it has no point."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
