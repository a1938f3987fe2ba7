"""The runs of a comparison: methods by points of a grid by seeds, each with a config and a folder of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.recipes import DEFAULT_METHOD
from mtgrpo_env.agents.reports.compared_runs import Cost
from mtgrpo_env.agents.reports.history import Record, read_history
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.experiments.compare_grid import parsed_grid, points_of_method, taken_by
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
    """Learning rates that every method tries, to be judged at its best one; short for --grid lr=...; by default --lr
    alone."""
    grid: tuple[str, ...] = ()
    """Values of other options, as in "max_replayed=0.5,1" "group_size=8,16": every method tries all combinations of
    those options that it has, and is judged at its best one."""
    tuning_seeds: tuple[Seed, ...] = ()
    """Seeds on which a method's best combination is chosen, which alone is then run on --seeds; by default it is chosen
    on --seeds themselves, which flatters the method with the larger grid."""
    halve_at: tuple[Count, ...] = ()
    """Steps after which only the better half of a method's combinations goes on, on --tuning-seeds: multiples of
    --eval-every below --steps."""
    choose_by: Cost = "steps"
    """What a method's combinations are judged along: the worst task averaged over the steps, the rollouts or the
    seconds that they all have spent. Rollouts or seconds where batch_size or group_size is in the grid: per step the
    largest batch would win."""
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
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, tuple) and not isinstance(value, list | tuple):  # one alone is a list of one
                object.__setattr__(self, option.name, (value,))

    def check(self) -> None:
        """Refuse what no run could be made with.

        Raises:
            ValueError: naming the option.
        """
        for name, values in {"methods": self.methods, "seeds": self.seeds}.items():
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must be at least one and all different, got {list(values)}")
        for name, some in {"lrs": self.lrs, "tuning_seeds": self.tuning_seeds}.items():
            if len(set(some)) < len(some):
                raise ValueError(f"{name} must be at least one and all different, got {list(some)}")
        if both := sorted(set(self.seeds) & set(self.tuning_seeds)):
            raise ValueError(f"tuning_seeds must be other than seeds, which are reported: {both} are in both")
        if self.halve_at and not self.tuning_seeds:
            raise ValueError(f"halve_at needs tuning_seeds, on which hopeless runs are stopped, got {self.halve_at}")
        parsed_grid(self.grid)
        check_ranges(self)

    @property
    def choice_seeds(self) -> tuple[int, ...]:
        """On which a method's best combination is chosen."""
        return self.tuning_seeds or self.seeds

    def halving_steps(self, config: RunConfig) -> tuple[int, ...]:
        """Where runs are stopped, in rising order.

        Raises:
            ValueError: if a run is not evaluated there, or ends before.
        """
        for step in self.halve_at:
            if step < 1 or step >= config.steps or step % config.eval_every:
                raise ValueError(
                    f"halve_at must be multiples of eval_every, {config.eval_every}, below steps, {config.steps}, "
                    f"got {step}"
                )
        return tuple(sorted(set(self.halve_at)))

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
    """One run of a comparison.

    Attributes:
        config: its options.
        point: those of them that belong to the grid.
        until: step after which it is stopped, or all of them.
        known: records of its history, where they are not read anew each time.
    """

    config: RunConfig
    point: Point
    until: int
    known: Sequence[Record] | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.config.method}, {self.point}, seed {self.config.seed}"

    @property
    def folder(self) -> RunFolder:
        """Where the run is."""
        return RunFolder(self.config.out)

    @property
    def records(self) -> Sequence[Record]:
        """Of its history so far."""
        return read_history(self.folder.history) if self.known is None else self.known

    @property
    def is_finished(self) -> bool:
        """Whether it was evaluated after its last step."""
        return self.has_reached(self.until)

    @property
    def goes_to_the_end(self) -> bool:
        """Whether it ends by itself."""
        return self.until >= self.config.steps

    def has_reached(self, step: int) -> bool:
        """Whether it was evaluated after so many steps."""
        return any(record["kind"] == "evaluation" and record["step"] >= step for record in self.records)

    def stopped_at(self, step: int) -> PlannedRun:
        """The same run, up to a step."""
        return replace(self, until=step)


def plan_runs(
    config: RunConfig,
    options: CompareOptions,
    method_options: Mapping[str, Any] | None = None,
    *,
    seeds: Sequence[int] | None = None,
) -> list[PlannedRun]:
    """Every run that may be made, seed by seed, so that the first results already compare all methods.

    Args:
        config: of all runs but for method, grid, seed and folder, which lies within the config's.
        options: what is compared.
        method_options: given to the methods that take them.
        seeds: of the runs; by default those on which points are chosen.

    Raises:
        ValueError: if a method is unknown, no method takes an option, or two have one folder.
    """
    given = method_options or {}
    for name in given:
        if not any(name in taken_by(method) for method in options.methods):
            raise ValueError(f"{name} is no option of the methods {list(options.methods)}")
    folders = [_folder_name(method) for method in options.methods]
    if len(set(folders)) < len(folders):
        raise ValueError(f"methods must have different names of their folders, got {folders}")
    grid = {"lr": options.lrs or (config.lr,), **parsed_grid(options.grid)}
    points = {method: points_of_method(grid, method) for method in options.methods}
    most = max(map(len, points.values()))
    in_turn = [  # point by point: the first results compare all methods
        (method, folder, points[method][i])
        for i in range(most)
        for method, folder in zip(options.methods, folders, strict=True)
        if i < len(points[method])
    ]
    planned = [
        _planned(config, method, point, seed, f"{folder}-{point.folder}", given)
        for seed in (options.choice_seeds if seeds is None else seeds)
        for method, folder, point in in_turn
    ]
    if len({run.config.out for run in planned}) < len(planned):
        raise ValueError(f"values of the grid must have different names of their folders, got {list(options.grid)}")
    return planned


def _planned(
    config: RunConfig, method: str, point: Point, seed: int, folder: str, given: Mapping[str, Any]
) -> PlannedRun:
    own = {name: value for name, value in given.items() if name in taken_by(method)}
    # Runs in one folder share its starting model, which depends on the seed.
    out = config.out / f"seed-{seed}" / folder
    values = {**own, **point.values, "method": method, "seed": seed, "out": out}
    return PlannedRun(replace(config, **values), point, config.steps)


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
