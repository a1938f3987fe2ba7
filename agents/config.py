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
from mtgrpo_env.agents.options import (
    GROUPS,
    GenerationOptions,
    MethodOptions,
    ModelOptions,
    OptimizerOptions,
    RunOptions,
    SamplingOptions,
)
from mtgrpo_env.agents.recipes import named_method, options_of
from mtgrpo_env.files import atomic_file
from mtgrpo_env.named_objects import did_you_mean
from mtgrpo_env.prompt_options import PromptOptions, check_stop_strings
from mtgrpo_env.ranges import COLDEST, check_ranges
from mtgrpo_env.redaction import holds_secret, redacted
from mtgrpo_env.row_options import RowOptions, listed
from mtgrpo_env.task_registry import is_rows

TINY_DEFAULTS: Mapping[str, Any] = {"tasks": ("mini",), "eval_problems": 300, "lr": 4e-4, "max_new_tokens": 16}
"""Of the options whose default depends on the model: those of the tiny one."""

MODEL_DEFAULTS: Mapping[str, Any] = {"tasks": ("easy",), "eval_problems": 100, "lr": 1e-6, "max_new_tokens": 512}
"""The same for a model that is given; the learning rate is the paper's."""

MAY_CHANGE = frozenset(
    {"out", "steps", "eval_every", "checkpoint_every", "keep_checkpoints", "accept_changes"}
    | {"keep_optimizer", "report_to", "save_merged"}
    | {
        "device",
        "activation_checkpointing",
        "engine",
        "zero_stage",
        "offload",
        "tokens_per_forward",
        "rollouts",
        "vllm_memory",
        "vllm_sleep",
    }
)
"""Options that may differ when a run is resumed."""

METHOD_OPTIONS = ("tolerance", "reward_coef", "weight_lr", "weight_optimizer", "max_replayed")
_LEAST_STRATIFIED = 4  # rollouts of a group; of fewer the mean is no baseline, since they depend on each other
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
        check_ranges(self)
        self.check_prompts()
        self._schedule(1.0)  # refuses by itself
        _ = self.column_names, self.rewards  # refuse by themselves
        check_stop_strings(self.stop)
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
        """Make sure that there is a model to start from.

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
        if not (self.rollouts in ("transformers", "vllm") or self.server_urls):
            raise ValueError(f"rollouts must be transformers, vllm or http:// URLs, got {redacted(self.rollouts)!r}")
        if "none" in self.report_to and len(self.report_to) > 1:
            raise ValueError(f"report_to must be none alone or trackers, got {' '.join(self.report_to)}")
        for name, value in self.plain.items():
            texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
            if any(map(holds_secret, texts)):
                raise ValueError(f"{name} must hold no password or key: options stand in the files of the run")
        if self.eval_temperature:
            COLDEST.check("eval_temperature, unless it is 0,", self.eval_temperature)
        self._refuse_unless(self.engine == "deepspeed", "engine deepspeed", "zero_stage", "offload")
        self._refuse_unless(self.rollouts == "vllm", "rollouts vllm", "vllm_memory", "vllm_sleep")
        self._refuse_unless(self.rollouts == "transformers", "rollouts transformers", "stratified")
        smallest = self.group_size if self.min_group_size is None else self.min_group_size
        if smallest > self.group_size:
            raise ValueError(f"min_group_size must be at most group_size, {self.group_size}, got {smallest}")
        if self.stratified and smallest < _LEAST_STRATIFIED:
            name = "group_size" if self.min_group_size is None else "min_group_size"
            raise ValueError(f"stratified needs groups of {_LEAST_STRATIFIED} or more, got {name} {smallest}")
        self._refuse_unless(self.importance != "none", "importance token or sequence", "importance_cap")
        self._refuse_unless(self.lr_schedule != "constant", "lr_schedule linear or cosine", "lr_floor")
        self._refuse_unless(self.model is None, "the tiny model", "start")
        self._refuse_unless(self.lora_rank > 0, "lora_rank above 0", "lora_alpha", "lora_targets", "save_merged")

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
        kind = next((of for of in get_args(hint) if get_origin(of) is Literal), None)
        value = listed(value) if isinstance(value, Mapping) else value
        parts = (value,) if isinstance(value, str | Path) else tuple(value) if isinstance(value, list | tuple) else ()
        is_given = bool(parts) or (isinstance(value, list | tuple) and name != "tasks")
        if not is_given or not all(isinstance(part, str | Path) for part in parts):
            raise ValueError(f"{name} must be a string, or at least one in a list, got {value!r}")
        return tuple(_checked(name, part, kind) for part in map(str, parts)) if kind else tuple(map(str, parts))
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
