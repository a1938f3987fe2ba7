"""Change the core in every small way, and see that a test fails.

    python benchmarks/mutants.py                            # all modules
    python benchmarks/mutants.py --only advantages shares   # some of them
    python benchmarks/mutants.py --sample 50                # at most so many mutants of a module
    python benchmarks/mutants.py --again                    # those that survived the last time

The tests are collected and run once, to see which lines each of them runs. Then each mutant is put into a fork of the
process, which runs the tests of the changed lines, the fastest first, until one fails. Survivors that are known to
compute the same are in `equivalent_mutants.txt`, with the reason.
"""

from __future__ import annotations

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # forks must inherit no threads

import builtins
import importlib
import json
import pickle
import platform
import select
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import tyro
from mutant_operators import Mutant, mutants, probed
from mutant_transplant import functions_of, replace_bodies, replace_data

HERE = Path(__file__).parent
ROOT = HERE.parent
PACKAGE = "mtgrpo_env"


@dataclass(frozen=True)
class Part:
    """Modules below a package, and the tests that run them."""

    prefix: str
    modules: tuple[str, ...]
    tests: Mapping[str, tuple[str, ...]]
    """By the folder."""

    def files(self, modules: Sequence[str], *, own: bool) -> list[str]:
        """Of the tests, all or those of the modules' own names, and of the modules, whose examples are tests too."""
        chosen = [name for name in self.modules if self.prefix + name in modules]
        if not chosen:
            return []
        names_of_own = {name.split(".")[-1] for name in chosen}
        tests = [(folder, name) for folder, names in self.tests.items() for name in names]
        files = [f"{folder}/test_{name}.py" for folder, name in tests if not own or name in names_of_own]
        return [*files, *(f"{PACKAGE}/{(self.prefix + name).replace('.', '/')}.py" for name in chosen)]


PARTS = (
    Part(
        prefix="",
        modules=(
            *("advantages", "shares", "filters", "recent_shares", "reward_estimates", "task_weights"),
            *("task_weights_baselines", "logit_optimizers", "plans", "samplers", "quota_sampler", "samplers_released"),
            *("replay", "drafts", "curriculum", "batch_metrics", "manifest"),
        ),
        tests={
            "tests": (
                *("advantages", "batch_metrics", "constructors", "curriculum", "curriculum_state", "filters"),
                *("logit_optimizers", "manifest", "quota_sampler", "ratio_preserving", "recent_shares", "replay"),
                *("reward_estimates", "samplers", "samplers_released", "shares", "stateful"),
                *("task_weights", "task_weights_baselines", "truncation"),
            ),
        },
    ),
    Part(
        prefix="agents.",
        modules=("neural.losses", "minibatches", "improvement", "checkpoint_files", "checkpoints"),
        tests={
            "tests/agents": ("improvement", "mtgrpo", "run_folder", "trainer"),
            "tests/agents/neural": ("losses", "mlp", "optimizer_state"),
        },
    ),
    Part(
        prefix="envs.",
        modules=(
            *("arithmetic", "countdown_answers", "countdown_solver", "answers", "final_answers", "boxes", "thoughts"),
            *("short_answers", "science_answers", "answer_rewards"),
        ),
        tests={
            "tests": ("hostile",),
            "tests/envs": (
                *("answer_rewards", "answers", "arithmetic", "boxes", "countdown", "countdown_answers"),
                *("countdown_solver", "science_answers", "short_answers", "thoughts", "verdict_table", "reward"),
            ),
        },
    ),
    Part(prefix="", modules=("answer_places",), tests={"tests": ("chance",)}),
)
MODULES = tuple(part.prefix + name for part in PARTS for name in part.modules)
_LONGEST = 600.0  # seconds of whatever is waited for
_REWRITE = "-Wignore::pytest.PytestAssertRewriteWarning"  # of a plugin that another import has loaded
EQUIVALENT = HERE / "equivalent_mutants.txt"
KEPT = HERE.parent / "runs" / "mutants"
REPORT = HERE / "results" / "mutants.md"


@dataclass(frozen=True)
class Config:
    """Mutants of which modules, and how many."""

    only: tuple[str, ...] = MODULES
    """Modules, by their names below the package."""
    sample: int | None = None
    """Mutants of each module, drawn at random; all by default."""
    seed: int = 0
    """Of the sample."""
    budget: float = 3.0
    """Seconds of tests of other files for each mutant, beside those of the module's own file."""
    own: bool = False
    """Run the tests of files with the modules' own names alone: faster, with more survivors."""
    again: bool = False
    """Try only what survived the last time, and mutants that there were not then."""


Verdicts = list[tuple[str, str]]
"""Of the mutants of a module, in the order of its source: killed, equivalent, survived or untried."""


@dataclass(frozen=True)
class Test:
    """A test that passes, the seconds it takes, and the lines it runs of each file."""

    item: pytest.Item
    seconds: float
    lines: dict[str, set[int]]


class Mutations:
    """A plugin of pytest that runs mutants in place of the tests that were collected."""

    def __init__(self, config: Config, equivalent: frozenset[str]) -> None:
        self.config = config
        self.equivalent = equivalent

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings  # once pytest has found its plugin

        phases = (Phase.explicit, Phase.generate)  # any failing example will do, not the smallest
        settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        modules = {name: importlib.import_module(f"{PACKAGE}.{name}") for name in self.config.only}
        session.config.pluginmanager.unregister(name="terminalreporter")  # which would report each fork's tests
        tests = sorted(measured(session.items, modules.values()), key=lambda test: test.seconds)
        print(f"{len(tests)} tests, {sum(test.seconds for test in tests):.0f} seconds", flush=True)
        for name, module in modules.items():
            every = list(mutants(Path(str(module.__file__)).read_text(encoding="utf-8"), str(module.__file__)))
            functions = functions_of(str(module.__file__))
            known = read_verdicts(name) if self.config.again else []
            before = {of: [verdict for other, verdict in known if other == of] for of, _ in known}
            drawn, verdicts = sampled(len(every), self.config), Verdicts()
            for place, mutant in enumerate(every):
                last = before.get(mutant.name, [])
                verdict = last.pop(0) if last else "survived" if place in drawn else "untried"
                if verdict == "survived":
                    verdict = self._verdict(module, functions, mutant, tests)
                if verdict == "survived" and f"{name} {mutant.name}" in self.equivalent:
                    verdict = "equivalent"
                if verdict == "survived":
                    print(f"{name} {mutant.name}  # line {mutant.line}", flush=True)
                verdicts.append((mutant.name, verdict))
            write_verdicts(name, verdicts)
            print(f"{name}: {dict(Counter(verdict for _, verdict in verdicts))}", flush=True)
        return True

    def _verdict(
        self, module: ModuleType, functions: Sequence[FunctionType], mutant: Mutant, tests: Sequence[Test]
    ) -> str:
        chosen = self._chosen(module, mutant, tests)
        if not chosen:
            return "survived"

        def survives() -> bool:
            if mutant.data is None:
                replace_bodies(functions, mutant.code)
            else:
                replace_data(module, mutant.code, mutant.data)
            return passed([test.item for test in chosen], limits=[1 + 5 * test.seconds for test in chosen])

        return "survived" if in_a_fork(survives, _LONGEST) else "killed"

    def _chosen(self, module: ModuleType, mutant: Mutant, tests: Sequence[Test]) -> list[Test]:
        """Tests that run what was changed: those of the module's own file, then the fastest of others."""
        reached = [(test, test.lines[str(module.__file__)]) for test in tests]
        tests = [test for test, lines in reached if (mutant.line in lines if mutant.data is None else lines)]
        own = [test for test in tests if test.item.path.stem.removeprefix("test_") == module.__name__.split(".")[-1]]
        others = [test for test in tests if test not in own]
        spent = np.cumsum([test.seconds for test in others])
        return own + others[: int(np.searchsorted(spent, self.config.budget))]


def sampled(count: int, config: Config) -> set[int]:
    """Places of the mutants that are tried."""
    if config.sample is None or count <= config.sample:
        return set(range(count))
    return set(np.random.default_rng(config.seed).choice(count, config.sample, replace=False).tolist())


def read_verdicts(module: str) -> Verdicts:
    """Of the last time; none if there was none."""
    file = KEPT / f"{module}.json"
    return [tuple(pair) for pair in json.loads(file.read_text(encoding="utf-8"))] if file.is_file() else []


def write_verdicts(module: str, verdicts: Verdicts) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{module}.json").write_text(json.dumps(verdicts, indent=0, ensure_ascii=False), encoding="utf-8")


def measured(items: Sequence[pytest.Item], modules: Iterable[ModuleType]) -> list[Test]:
    """Every test that passes, as it runs in a fork."""
    lines: dict[str, set[int]] = {}

    def timed(number: int, item: pytest.Item) -> tuple[float, dict[str, set[int]]] | None:
        if number % 100 == 0:
            print(f"{number} of {len(items)} tests measured", flush=True)
        lines.update({str(module.__file__): set() for module in modules})
        began = time.process_time()
        if passed([item], limits=[_LONGEST]):
            return time.process_time() - began, dict(lines)
        print(f"left out, since it fails: {item.nodeid}", flush=True)
        return None

    def run() -> list[tuple[float, dict[str, set[int]]] | None]:
        builtins.__dict__["_probe"] = lambda file, line: lines[file].add(line)
        for module in modules:
            file = str(module.__file__)
            replace_bodies(functions_of(file), probed(Path(file).read_text(encoding="utf-8"), file))
        return [timed(number, item) for number, item in enumerate(items)]

    answers = in_a_fork(run, 6 * _LONGEST)
    if not answers:
        raise RuntimeError("the tests could not be measured")
    return [Test(item, *answer) for item, answer in zip(items, answers, strict=True) if answer is not None]


class Failures:
    """A plugin that notes whether a test has failed."""

    any = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.any |= report.failed


def passed(items: Sequence[pytest.Item], *, limits: Sequence[float]) -> bool:
    """No test fails; the first that does ends it. One that takes more CPU seconds than its limit kills the process."""
    failures = Failures()
    plugins = items[0].config.pluginmanager
    plugins.register(failures)
    for item, following, limit in zip(items, [*items[1:], None], limits, strict=True):
        signal.setitimer(signal.ITIMER_PROF, limit)
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if failures.any:
            break
    plugins.unregister(failures)
    return not failures.any


def in_a_fork(work: Callable[[], Any], seconds: float) -> Any:
    """What the work returns in a fork of this process; None if it takes longer, False if the fork ends otherwise."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setpgid(0, 0)
            os.close(reader)
            answer = pickle.dumps(work())
            os.write(writer, answer)
        except Exception as error:  # of a mutant that cannot even be imported, say
            print(f"{error!r:.300}", flush=True)
        finally:
            os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], seconds)
    with open(reader, "rb") as stream:
        answer = stream.read() if ready else None
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None if answer is None else pickle.loads(answer) if answer else False


def read_equivalent() -> frozenset[str]:
    """Mutants that compute the same."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def report() -> str:
    """A table of the modules that were ever tried, and every survivor."""
    lines = [
        "# Mutants of the core",
        "",
        "Each mutant changes one operator, constant, argument or statement. A failing test or a time limit kills it.",
        "Those that compute the same, with the reason: `benchmarks/equivalent_mutants.txt`.",
        "",
        f"`python benchmarks/mutants.py`, Python {platform.python_version()} on {platform.system()}.",
        "",
        "| module | mutants | tried | killed | equivalent | survived |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    survivors = []
    for module in MODULES:
        if verdicts := read_verdicts(module):
            of = Counter(verdict for _, verdict in verdicts)
            counts = [of.total(), of.total() - of["untried"], of["killed"], of["equivalent"], of["survived"]]
            lines.append(f"| `{module}` | {' | '.join(map(str, counts))} |")
            survivors += [f"- `{module}` {mutant}" for mutant, verdict in verdicts if verdict == "survived"]
    return "\n".join([*lines, "", *survivors, *([""] if survivors else [])])


def main(config: Config) -> int:
    """Print the survivors and write the table; 1 if there are any."""
    os.chdir(ROOT)
    mutations = Mutations(config, read_equivalent())
    with tempfile.TemporaryDirectory() as folder:
        files = [file for part in PARTS for file in part.files(config.only, own=config.own)]
        options = ["-q", "-p", "no:cacheprovider", "--timeout=0", _REWRITE, f"--basetemp={folder}/tests"]
        code = pytest.main([*options, *files], plugins=[mutations])
    if code != pytest.ExitCode.OK:
        return int(code)
    text = report()
    print(text)
    REPORT.write_text(text, encoding="utf-8")
    return int(any(verdict == "survived" for module in config.only for _, verdict in read_verdicts(module)))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
