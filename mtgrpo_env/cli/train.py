"""`mtgrpo train`: a run, from a starting model to a table, a figure and a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.cli.options import GroupedOptions, options_file


@dataclass(frozen=True)
class Config(GroupedOptions):
    """Post-train a language model on several tasks. The same command resumes a run that was stopped."""

    config: Path | None = None
    """A file of options, such as the config.yaml of a run; options of the command line override it."""
    dry_run: bool = False
    """Say what would be done and how much memory it takes; build no model and train nothing."""
    timed: bool = False
    """With --dry-run: load the model, take the passes of a step with it, and say how long the run will take."""


def parse(arguments: Sequence[str]) -> Config:
    """The options of a command line, over those of its --config if it has one."""
    file = options_file(arguments)
    default = Config.of(TrainConfig.read(file)) if file else Config()
    return tyro.cli(Config, args=arguments, default=default, prog="mtgrpo train")


def run(config: Config) -> int:
    """Train, or resume; 0 when done or stopped by SIGTERM, 130 when interrupted, 1 when something failed."""
    train_config = config.train_config  # refuses before anything heavy is imported
    import transformers

    from mtgrpo_env.agents.llm.plan import plan_of, print_plan
    from mtgrpo_env.agents.llm.timing import print_timing
    from mtgrpo_env.agents.trainer import Trainer, TrainingError
    from mtgrpo_env.safe_console import SafeConsole

    transformers.utils.logging.disable_progress_bar()  # it would draw over ours
    trainer = Trainer(config=train_config)
    if config.timed and not config.dry_run:
        raise ValueError("--timed goes with --dry-run: a run says by itself how long it will take")
    if config.dry_run:
        trainer.folder.refuse_another_run(trainer.config)
        print_plan(plan_of(trainer.config, trainer.suite, trainer.prompts), console := SafeConsole())
        if config.timed:
            trainer.check()
            print_timing(trainer.config, trainer.suite, trainer.prompts, console)
        return 0
    try:
        return trainer.train().exit_code
    except TrainingError as error:
        SafeConsole().print(str(error), soft_wrap=True, highlight=False)
        return 1
    except KeyboardInterrupt:
        SafeConsole().print(f"{trainer.kept} Run the same command to resume.", soft_wrap=True, highlight=False)
        raise
    finally:
        trainer.close()
