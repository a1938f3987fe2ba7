"""The options of a training run on the command line: in groups, flat names, over those of a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Self

from tyro.conf import OmitArgPrefixes, arg

from mtgrpo_env.agents import options
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.recipes import RECIPES
from mtgrpo_env.prompt_options import PromptOptions
from mtgrpo_env.row_options import RowOptions

Tasks = Annotated[tuple[str, ...] | None, arg(aliases=("--suite", "--rows"))]
MethodName = Annotated[str, arg(help=f"""{", ".join(RECIPES)}, or "package.module:function" for one of your own""")]


@dataclass(frozen=True, kw_only=True)
class RunOptions(options.RunOptions):
    """What is trained on, for how long, and what is kept of it."""

    tasks: Tasks = None
    """Tasks or suites by name (mini, easy, "countdown-easy,arc-hard"), "package.module:Class", reasoning-gym:<names>,
    or files, folders and hub data sets of rows (sums.jsonl, hf:openai/gsm8k); see docs/rows.md. By default mini for the
    tiny model, whose notation no other knows, and easy for others."""


@dataclass(frozen=True, kw_only=True)
class MethodOptions(options.MethodOptions):
    """How tasks are weighted and batches composed."""

    method: MethodName = options.MethodOptions.method


@dataclass(frozen=True)
class GroupedOptions:
    """Every option of `TrainConfig`, in its groups."""

    run: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    rows: OmitArgPrefixes[RowOptions] = field(default_factory=RowOptions)
    method: OmitArgPrefixes[MethodOptions] = field(default_factory=MethodOptions)
    sampling: OmitArgPrefixes[options.SamplingOptions] = field(default_factory=options.SamplingOptions)
    model: OmitArgPrefixes[options.ModelOptions] = field(default_factory=options.ModelOptions)
    optimizer: OmitArgPrefixes[options.OptimizerOptions] = field(default_factory=options.OptimizerOptions)
    prompts: OmitArgPrefixes[PromptOptions] = field(default_factory=PromptOptions)
    generation: OmitArgPrefixes[options.GenerationOptions] = field(default_factory=options.GenerationOptions)

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """The options of a config."""
        own: dict[str, Any] = {**options.GROUPS, "run": RunOptions, "method": MethodOptions}
        return cls(
            **{name: kind(**{f.name: getattr(config, f.name) for f in fields(kind)}) for name, kind in own.items()}
        )

    @property
    def train_config(self) -> TrainConfig:
        """The options without their groups.

        Raises:
            ValueError: naming one that is out of its range.
        """
        return TrainConfig(**{k: v for name in options.GROUPS for k, v in vars(getattr(self, name)).items()})


def options_file(arguments: Sequence[str]) -> Path | None:
    """The file of options that a command line names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    return parser.parse_known_args(arguments)[0].config
