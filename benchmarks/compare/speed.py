r"""Rates: puzzles generated, responses scored, and steps of vector envs."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from compare import peers
from compare.tables import number, table, times
from compare.timing import Pace, Race, Work, race
from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.mtreason import REASON_TASKS

Said = Callable[[str], None]
"""Told what is being measured."""

NUM_ENVS = 256
_GROUP = 8
_ASYNC_ENVS = 8  # one process each
_GEM_ENVS = 32  # its rate does not depend on how many there are, and 256 take a minute to start
_SIZE = 100_000  # of a peer's data set: more than it can make in the time it has
_RESPONSE_LENGTH = 2048
_THOUGHT = "Let me think: we could try {} first and see where that leads. "


def generation(pace: Pace, said: Said) -> str:
    """Table of puzzles generated, prompt included."""
    rows = []
    for name, task_type in REASON_TASKS.items():
        for level in task_type.LEVELS:
            said(f"generating {name}-{level}")
            works = {"ours": _ours(task_type(level)), "theirs": _theirs(name, level)}
            found = race(works, pace)
            cells = [number(found.rate("ours")), number(found.rate("theirs")), times(found.ratio("ours", "theirs"))]
            rows.append([f"{name}-{level}", *cells])
    return table(["task", "ours", "reasoning-gym", "ratio"], rows)


def _ours(task: BoxedTask[Any]) -> Work:
    rng = np.random.default_rng(0)

    def work() -> int:
        task.prompt(task.generate(rng))
        return 1

    return work


def _theirs(name: str, level: str) -> Work | None:
    data_set = peers.reasoning_gym_set(name, level, seed=0, size=_SIZE)
    if data_set is None:
        return None
    indices = itertools.cycle(range(_SIZE))

    def work() -> int:
        data_set[next(indices)]
        return 1

    return work


def scoring(pace: Pace, said: Said) -> str:
    """Table of right answers scored."""
    rows, contenders = [], []
    for name, task_type in REASON_TASKS.items():
        level = next(level for level in ("medium", *task_type.LEVELS) if level in task_type.LEVELS)
        said(f"scoring {name}-{level}")
        task = task_type(level)
        works = {
            "ours": _our_scorer(task),
            "reasoning-gym, 2 kB": _reasoning_gym_scorer(name, level, _RESPONSE_LENGTH),
            "reasoning-gym, bare answer": _reasoning_gym_scorer(name, level, 0),
            "unsafe scorer": _unsafe_scorer(name, task),
            "math_verify": _math_verify(name, task),
        }
        found = race(works, pace)
        contenders = list(works)
        ratios = [times(found.ratio("ours", other)) for other in contenders[1:]]
        rows.append([f"{name}-{level}", *(number(found.rate(contender)) for contender in contenders), *ratios])
    return table(["task", *contenders, *(f"ours/{other}" for other in contenders[1:])], rows)


def _responses(task: BoxedTask[Any]) -> list[tuple[Any, str]]:
    """Puzzles, each with two kilobytes of thought that end in the oracle."""
    rng = np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(32)]
    return [(puzzle, f"{_thought(_RESPONSE_LENGTH)}\n{task.oracle(puzzle)}") for puzzle in puzzles]


def _thought(length: int) -> str:
    return "".join(_THOUGHT.format(i) for i in range(length // len(_THOUGHT) + 1))[:length]


def _our_scorer(task: BoxedTask[Any]) -> Work:
    cases = _responses(task)

    def work() -> int:
        for puzzle, response in cases:
            assert task.verify(puzzle, response).is_success
        return len(cases)

    return work


def _reasoning_gym_scorer(name: str, level: str, length: int) -> Work | None:
    """Its scorer on the bare answer, or, if there is a length, after its extraction from a response that long."""
    data_set = peers.reasoning_gym_set(name, level, seed=0, size=32)
    if data_set is None:
        return None
    extract = peers.optional("reasoning_gym.utils").extract_answer
    entries = list(data_set)
    tagged = [f"{_thought(length)}\n<answer>{entry['answer']}</answer>" for entry in entries]

    def work() -> int:
        for entry, response in zip(entries, tagged, strict=True):
            data_set.score_answer(extract(response) if length else entry["answer"], entry)
        return len(entries)

    return work


def _unsafe_scorer(name: str, task: BoxedTask[Any]) -> Work | None:
    """The stand-in for released code: a regular expression on the last line, and Python's own evaluator.

    Run on our own right answers and on nothing else.
    """
    if name not in ("countdown", "zebra", "arc"):
        return None
    box = re.compile(r"\\boxed\{(.*)\}")
    cases = _responses(task)
    expected = [task.oracle(puzzle).removeprefix("\\boxed{").removesuffix("}") for puzzle, _ in cases]

    def work() -> int:
        for (puzzle, response), answer in zip(cases, expected, strict=True):
            found = box.findall(response.split("\n")[-1])[-1]
            if name != "countdown":
                assert found.strip() == answer
                continue
            assert sorted(map(int, re.findall(r"\d+", found))) == sorted(puzzle.numbers)
            assert abs(eval(found, {"__builtins__": None}, {}) - puzzle.target) < 1e-5
        return len(cases)

    return work


def _math_verify(name: str, task: BoxedTask[Any]) -> Work | None:
    package = peers.optional("math_verify") if name == "math" else None
    if package is None:
        return None
    cases = _responses(task)
    gold = [package.parse(task.oracle(puzzle)) for puzzle, _ in cases]

    def work() -> int:
        for (_, response), right in zip(cases, gold, strict=True):
            package.verify(right, package.parse(response))
        return len(cases)

    return work


def vectors(pace: Pace, said: Said) -> str:
    """Table of episodes played by vector envs."""
    rows = []
    for name, task_type in REASON_TASKS.items():
        env_id = f"MTReason/{task_type.__name__}-v0"
        if env_id in gym.registry:
            said(f"vector envs of {name}")
            rows.append([name, *_vector_row(name, env_id, pace)])
    others = [f"Gymnasium sync, {NUM_ENVS}", f"Gymnasium async, {_ASYNC_ENVS} (wall)", f"GEM, {_GEM_ENVS}"]
    ours = [f"make_vec, {NUM_ENVS}", f"make_vec, groups of {_GROUP}"]
    ratios = [f"{who}/{other}" for other in ("sync", "GEM") for who in ("ours", "groups")]
    return table(["task", *ours, *others, *ratios], rows)


def _vector_row(name: str, env_id: str, pace: Pace) -> Iterator[str]:
    batched = gym.make_vec(env_id, num_envs=NUM_ENVS, level="medium")
    grouped = gym.make_vec(env_id, num_envs=NUM_ENVS, level="medium", group_size=_GROUP)
    same_step = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    sync = gym.make_vec(env_id, NUM_ENVS, vectorization_mode="sync", vector_kwargs=same_step, level="medium")
    works = {
        "ours": _play(batched),
        "groups": _play(grouped),
        "sync": _play(sync),
        "gem": _play(peers.gem_vector(name, num_envs=_GEM_ENVS, seed=0)),
    }
    found = race(works, pace)
    processes = gym.make_vec(
        env_id,
        _ASYNC_ENVS,
        vectorization_mode="async",
        vector_kwargs={**same_step, "shared_memory": False},
        level="medium",
    )
    apart: Race = race({"async": _play(processes)}, pace, time.monotonic)  # the CPU time is spent in other processes
    for envs in (batched, grouped, sync, processes):
        envs.close()
    yield from (number(found.rate("ours")), number(found.rate("groups")), number(found.rate("sync")))
    yield from (number(apart.rate("async")), number(found.rate("gem")))
    yield from (times(found.ratio(who, other)) for other in ("sync", "gem") for who in ("ours", "groups"))


def _play(envs: Any) -> Work | None:
    """Answer every env's problem; an episode counts when it ends, so steps lost to resets count for nothing."""
    if envs is None:
        return None
    envs.reset(seed=0)
    answers = ["\\boxed{1}"] * envs.num_envs

    def work() -> int:
        _, _, terminated, _, _ = envs.step(answers)
        return int(np.sum(terminated))

    return work
