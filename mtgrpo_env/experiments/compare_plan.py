"""The runs of a comparison: methods by learning rates by seeds, each with a config and a folder of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.recipes import DEFAULT_METHOD, named_method, options_of
from mtgrpo_env.agents.reports.history import read_history
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.ranges import Count, Positive, Range, Seed, Share, check_ranges

_LONGEST_NAME = 100  # bytes
Jobs = Annotated[int, Range(1, 10_000)]


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is compared, and how it is reported."""

    methods: tuple[str, ...] = (DEFAULT_METHOD, "dapo", "grpo")
    """Methods compared, "package.module:function" for one of your own; the first is set against each of the others."""
    seeds: tuple[Seed, ...] = (0, 1, 2)
    """Each has its own starting model, problems and sampling, the same for all methods."""
    lrs: tuple[Positive, ...] = ()
    """Learning rates that every method tries, to be judged at its best one; by default --lr alone."""
    parallel: Jobs = 1
    """Runs at a time."""
    threads: Jobs = 1
    """Threads of each run; results are the same to the bit only for the same number."""
    thresholds: tuple[Share, ...] = (0.5,)
    """Worst-task accuracies whose cost is reported."""
    horizon: Count | None = None
    """Steps after which methods are compared, to be chosen before they are run; by default --steps, the end. What runs
    do between the two is reported as their tail."""

    def __post_init__(self) -> None:
        for name in ("methods", "seeds", "lrs", "thresholds"):  # one alone is a list of one
            if not isinstance(value := getattr(self, name), list | tuple):
                object.__setattr__(self, name, (value,))

    def check(self) -> None:
        """Refuse what no run could be made with.

        Raises:
            ValueError: naming the option.
        """
        for name, values in {"methods": self.methods, "seeds": self.seeds}.items():
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must be at least one and all different, got {list(values)}")
        if len(set(self.lrs)) < len(self.lrs):
            raise ValueError(f"lrs must be at least one and all different, got {list(self.lrs)}")
        check_ranges(self)

    def horizon_of(self, steps: int) -> int:
        """The step at which runs of so many steps are compared.

        Raises:
            ValueError: if they do not reach it.
        """
        horizon = steps if self.horizon is None else self.horizon
        if not 1 <= horizon <= steps:
            raise ValueError(f"horizon must be from 1 to {steps}, the last step, got {horizon}")
        return horizon


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a comparison."""

    config: RunConfig

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.config.method}, lr {self.config.lr!r}, seed {self.config.seed}"

    @property
    def folder(self) -> RunFolder:
        """Where the run is."""
        return RunFolder(self.config.out)

    @property
    def is_finished(self) -> bool:
        """Whether it was evaluated after its last step."""
        history = read_history(self.folder.history)
        return any(record["kind"] == "evaluation" and record["step"] >= self.config.steps for record in history)


def plan_runs(
    config: RunConfig, options: CompareOptions, method_options: Mapping[str, Any] | None = None
) -> list[PlannedRun]:
    """Every run of the comparison, seed by seed, so that the first results already compare all methods.

    Args:
        config: of all runs but for method, learning rate, seed and folder, which lies within the config's.
        options: what is compared.
        method_options: given to the methods that take them.

    Raises:
        ValueError: if a method is unknown, no method takes an option, or two have one folder.
    """
    takes = {method: options_of(named_method(method)) for method in options.methods}
    given = method_options or {}
    for name in given:
        if not any(name in taken for taken in takes.values()):
            raise ValueError(f"{name} is no option of the methods {list(options.methods)}")
    folders = [_folder_name(method) for method in options.methods]
    if len(set(folders)) < len(folders):
        raise ValueError(f"methods must have different names of their folders, got {folders}")
    return [
        PlannedRun(
            replace(
                config,
                method=method,
                lr=lr,
                seed=seed,
                # Runs in one folder share its starting model, which depends on the seed.
                out=config.out / f"seed-{seed}" / f"{folder}-lr-{lr!r}",
                **{name: value for name, value in given.items() if name in takes[method]},
            )
        )
        for seed in options.seeds
        for lr in options.lrs or (config.lr,)
        for method, folder in zip(options.methods, folders, strict=True)
    ]


def may_start(run: PlannedRun, running: Sequence[PlannedRun], planned: Sequence[PlannedRun]) -> bool:
    """Whether a run may go beside others: of a seed one alone, until it has made the starting model they share."""
    has_start = run.config.model is not None or any(
        other.folder.history.is_file() for other in planned if other.config.seed == run.config.seed
    )
    return has_start or all(other.config.seed != run.config.seed for other in running)


def _folder_name(method: str) -> str:
    """A method's name without what a file name may not hold, as long as one may be."""
    name = re.sub(r"[^\w.@+-]", "-", method)
    digest = hashlib.sha256(method.encode(errors="replace")).hexdigest()[:8]
    return name if len(name.encode()) <= _LONGEST_NAME else f"{name[:25]}-{digest}"
