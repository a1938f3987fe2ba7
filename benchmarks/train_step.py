"""A training step of ours beside TRL's `GRPOTrainer`: one model, one task, one setting, turn by turn in one process.

    pip install --constraint constraints.txt trl==1.16.0 --editable '.[train]'
    python benchmarks/train_step.py

Writes benchmarks/train_step.md.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
import tyro
from training import equality, memory, ours, setting, theirs
from training.setting import SIZES, Size

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent

RESULTS = Path(__file__).with_suffix(".md")
TRL, GRPO, MT_GRPO = memory.SIDES
_WARM_UP = 2


@dataclass(frozen=True)
class Config:
    """How thoroughly to measure."""

    steps: int = 15
    """Of each side at each size, after two that are not counted; medians over them are reported."""
    threads: int = 1
    """Of torch."""
    sizes: tuple[str, ...] = tuple(SIZES)
    """Models, by about how many parameters they have."""
    memory: bool = True
    """Whether to measure memory too, each side in a process of its own."""
    out: Path = RESULTS
    """The file to write."""


@dataclass
class Times:
    """Of one side, one entry a step."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    generation: list[float] = field(default_factory=list)
    """Share of the seconds that went into generating and verifying; ours alone know."""


def main(config: Config) -> None:
    """Race at every size and write the table."""
    torch.set_num_threads(config.threads)
    written = [_heading(config)]
    for name in config.sizes:
        written.append(_section(SIZES[name], config))
        print(written[-1])
    written.append(_settings())
    config.out.write_text("\n".join(written))


def _section(size: Size, config: Config) -> str:
    load = os.getloadavg()[0]
    times, same = race(size, steps=config.steps)
    head = ["side", "seconds a step", "of them generating", "samples/s", "TRL's seconds by ours", "CPU time", "peak MB"]
    rows = [head, ["---"] * len(head)]
    for side, of_side in times.items():
        peak = f"{memory.peak_megabytes(side, size, threads=config.threads):.0f}" if config.memory else "–"
        rows.append([side, *_cells(of_side, times[TRL]), peak])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    lines = [
        f"## {size.name}: {setting.num_parameters(size):,} parameters\n",
        f"Hidden size {size.hidden}, {size.layers} layers. Load average {load:.1f} before, {os.getloadavg()[0]:.1f} "
        f"after.\n",
        table,
        f"\nSame computation: {same}.\n",
    ]
    return "\n".join(lines)


def race(size: Size, *, steps: int) -> tuple[Mapping[str, Times], equality.Difference]:
    """Let TRL take a step, then each of ours, `steps` times after the warm-up."""
    agents = {GRPO: ours.grpo(size), MT_GRPO: ours.mt_grpo(size)}
    times = {side: Times() for side in (TRL, *agents)}
    clock = _Clock(times[TRL])

    def take_turns() -> None:
        clock.stop()
        for side, agent in agents.items():
            _timed_step(agent, times[side])

    with tempfile.TemporaryDirectory() as folder:
        turns = theirs.BetweenSteps(clock.start, take_turns)
        trainer = theirs.trainer(size, steps=_WARM_UP + steps, callbacks=[turns], folder=folder)
        trainer.train()
    counted = {
        side: Times(t.seconds[_WARM_UP:], t.cpu[_WARM_UP:], t.generation[_WARM_UP:]) for side, t in times.items()
    }
    return counted, equality.difference(agents[GRPO], trainer)


class _Clock:
    """Times what lies between `start` and `stop`."""

    def __init__(self, times: Times) -> None:
        self.times = times
        self._started = (0.0, 0.0)

    def start(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.times.seconds.append(time.perf_counter() - self._started[0])
        self.times.cpu.append(time.process_time() - self._started[1])


def _timed_step(agent: MTGRPOAgent, times: Times) -> None:
    clock = _Clock(times)
    clock.start()
    report = agent.train_step()
    clock.stop()
    assert report.rollouts == setting.ROWS, f"expected {setting.ROWS} rollouts, got {report.rollouts}"
    times.generation.append(report.rollout_seconds / times.seconds[-1])


def _cells(times: Times, trl: Times) -> list[str]:
    seconds = median(times.seconds)
    generation = f"{median(times.generation):.0%}" if times.generation else "–"
    wall, cpu = (_ratios(getattr(trl, name), getattr(times, name)) for name in ("seconds", "cpu"))
    spread = f"{seconds:.2f} [{min(times.seconds):.2f}, {max(times.seconds):.2f}]"
    return [spread, generation, f"{setting.ROWS / seconds:.0f}", wall, cpu]


def _ratios(theirs_: Sequence[float], ours_: Sequence[float]) -> str:
    """The median over rounds, and the quartiles: what slows a round down slows both sides."""
    ratios = sorted(a / b for a, b in zip(theirs_, ours_, strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    return f"**{median(ratios):.2f}x** [{low:.2f}, {high:.2f}]"


_CONCLUSION = """**Ours takes less time and memory than TRL's step for the same loss and gradient,
since it computes each prompt once for its group. These are tiny models on a CPU; nothing follows for a GPU.**"""
"""Of the committed run: read it again after a new one."""


def _heading(config: Config) -> str:
    names = ("torch", "transformers", "trl", "accelerate", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    paragraph = (
        f"A step generates {setting.GROUP_SIZE} rollouts for each of {setting.NUM_PROMPTS} prompts, "
        f"{setting.PROMPT_TOKENS} tokens of prompt and {setting.NEW_TOKENS} new ones each, scores them and takes one "
        "optimiser step on all of them. The sides take turns in one process; "
        f"{config.steps} steps of each count, after {_WARM_UP} that do not. Seconds are medians with the extremes; "
        "ratios are medians over the turns with the quartiles, so they hold on a machine that others use at the same "
        "time. Memory is the peak above what was "
        f"resident when all was built, each side in a process of its own, {memory.STEPS} steps. MT-GRPO is our step "
        "with the forward pass that measures each task's improvement, which TRL has not."
    )
    return (
        "# A training step beside TRL's\n\n"
        f"{_CONCLUSION}\n\n"
        f"`{' '.join(['python benchmarks/train_step.py', *sys.argv[1:]])}`\n\n"
        f"{date.today()}; {_processor()}, {os.cpu_count()} cores, torch on {config.threads} of them; "
        f"Python {platform.python_version()}, {versions}.\n\n{paragraph}\n"
    )


def _settings() -> str:
    values = ", ".join(f"`{name}={value!r}`" for name, value in theirs.SETTINGS.items())
    return (
        "## How TRL was set\n\n"
        f"{values}; all else as by default, among it the fused AdamW. In both, completions cannot end early: the "
        "bias of the end token's logit rules it out, so no side pays for suppressing it.\n"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main(tyro.cli(Config))
