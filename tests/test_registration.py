import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import mtgrpo_env
from mtgrpo_env import check_task
from mtgrpo_env.envs.mtreason import PAPER_TASKS, REASON_TASKS, reason_suite
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.named_tasks import SUITES
from mtgrpo_env.vector import TextVectorEnv

IDS = sorted(env_id for env_id in gym.registry if env_id.startswith("MTReason/"))
ALIASES = {"MTReason/Mathematics-v0": "math", "MTReason/NumberGuessing-v0": "guessing"}
LEVELS = ["mini", "easy", "medium", "hard", "very_hard"]
SHORT_ID = "MTReason/Short-v0"  # its levels are kinds of questions
MINI_LEVELS = ["mini", "mini_medium", "mini_hard"]  # the last two of the paper's tasks alone


def test_an_id_that_names_the_package_needs_no_import() -> None:
    code = "import gymnasium as gym; env = gym.make('mtgrpo_env:MTReason-v0'); print(env.reset(seed=0)[1]['task'])"
    root = Path(mtgrpo_env.__file__).resolve().parents[1]
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert printed.stdout.strip().endswith("-medium")


def test_mt_reason_takes_one_task_as_a_string_at_the_default_level() -> None:
    assert gym.make("MTReason-v0", tasks="arc").reset(seed=0)[1]["task"] == "arc-medium"
    names = gym.make("MTReason-v0", tasks="arc-mini,zebra").unwrapped.schedule.suite.names  # pyright: ignore
    assert names == ("arc-mini", "zebra-medium")


def test_mt_reason_takes_tasks_levels_and_sizes() -> None:
    env = gym.make("MTReason-v0", tasks=("countdown-mini", "arc"), level="easy", group_size=2, batch_size=4)
    tasks = set()
    for i in range(40):
        _, info = env.reset(seed=0 if i == 0 else None)
        tasks.add(info["task"])
        env.step("")
    assert tasks == {"countdown-mini", "arc-easy"}


@pytest.mark.parametrize(
    ("env_id", "level"),
    [(env_id, level) for env_id in IDS for level in (REASON_TASKS["short"].LEVELS if env_id == SHORT_ID else LEVELS)],
)
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes.*")
def test_every_task_at_every_level_passes_gymnasiums_own_check(env_id: str, level: str) -> None:
    check_env(gym.make(env_id, level=level, render_mode="ansi").unwrapped, skip_render_check=False)


def test_every_task_has_an_id() -> None:
    assert set(IDS) == {f"MTReason/{name.title()}-v0" for name in REASON_TASKS} | set(ALIASES)
    assert len(REASON_TASKS) == 7


@pytest.mark.parametrize("env_id", ALIASES)
def test_a_former_id_makes_the_same_env(env_id: str) -> None:
    known = gym.make(f"MTReason/{ALIASES[env_id].title()}-v0")
    former = gym.make(env_id)
    assert former.reset(seed=5) == known.reset(seed=5)


def test_a_spec_of_ours_is_json() -> None:
    assert gym.spec("MTReason/Math-v0").to_json()


@pytest.mark.parametrize(
    "name",
    [
        f"{name}-{level}"
        for name, task in REASON_TASKS.items()
        for level in (task.LEVELS if name == "short" else ("mini", "easy", "medium"))
    ],
)
def test_every_task_keeps_the_promises_of_a_task(name: str) -> None:
    (task,) = reason_suite([name]).tasks
    check_task(task, num_problems=10)


def test_the_mini_tasks_of_the_paper_keep_the_promises_of_a_task() -> None:
    for task in reason_suite(SUITES["mini-nine"]).tasks:
        check_task(task, num_problems=10)


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_makes_a_batched_env_in_groups(env_id: str) -> None:
    envs = gym.make_vec(env_id, num_envs=6, group_size=3, level="sort" if env_id == SHORT_ID else "easy")
    prompts, _ = envs.reset(seed=0)
    assert isinstance(envs.unwrapped, TextVectorEnv)
    assert len(set(prompts)) == len(set(prompts[:3])) + len(set(prompts[3:])) == 2


def test_toy_tasks_keep_the_promises_of_a_task() -> None:
    for task in toy_suite(4).tasks:
        check_task(task, num_problems=10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": ("chess",)}, r"one of \['countdown', 'zebra', 'arc', .*'chess'"),
        ({"level": "trivial"}, r"one of \['mini', .*'easy'.*'trivial'"),
        ({"tasks": ("arc-huge",)}, r"level of task 'arc'.*'huge'"),
        ({"tasks": ()}, "at least one task"),
        ({"tasks": ("arc", "arc")}, "unique"),
        ({"split": "dev"}, r"split must be one of \['train', 'test'\], got 'dev'"),
        ({"extraction": "regex"}, "extraction must be one of"),
        ({"task_weights": [1, 1, 1]}, "sum to 1"),
        ({"group_size": 0}, "group_size must be at least 1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make("MTReason-v0", **arguments)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        gym.make("MTReason-v0", colour="red")


def test_a_sync_vector_env_with_one_seed_is_a_group() -> None:
    vector = gym.make_vec("MTReason/Arc-v0", num_envs=4, vectorization_mode="sync", level="mini")
    prompts, _ = vector.reset(seed=[11] * 4)  # pyright: ignore[reportArgumentType]  # annotated as int, takes both
    assert len(set(prompts)) == 1
    _, rewards, terminated, _, _ = vector.step([""] * 4)  # pyright: ignore[reportArgumentType]
    assert rewards.tolist() == [0.0] * 4
    assert terminated.all()


def test_every_suite_has_its_tasks() -> None:
    assert SUITES["nine"] == tuple(f"{name}-{level}" for name in PAPER_TASKS for level in ("easy", "medium", "hard"))
    assert SUITES["mini-nine"] == tuple(f"{task}-{level}" for task in PAPER_TASKS for level in MINI_LEVELS)
    assert set(SUITES) == {*LEVELS, *MINI_LEVELS, "nine", "mini-nine", "short", "control"}
