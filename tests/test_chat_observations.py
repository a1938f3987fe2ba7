"""Conversations as observations: their messages come through vector envs, wrappers, pipes and copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics

from mtgrpo_env.chat import ChatText, Message, messages_of
from mtgrpo_env.chat_columns import chat_text, column_of, prompt_of
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import CORRECT, WRONG, TextEnv, Verdict
from mtgrpo_env.vector import make_text_vec

SYSTEM = Message("system", "Answer with a digit.")


class Riddle(TextEnv[int]):
    """A chat from its start, of up to three turns."""

    def generate(self, rng: np.random.Generator) -> int:
        return int(rng.integers(10**6))

    def prompt(self, puzzle: int) -> str:
        return chat_text([SYSTEM, Message("user", f"Which digit of {puzzle} is meant?")])

    def verify(self, puzzle: int, response: str) -> Verdict:
        return CORRECT if response == str(puzzle % 10) else WRONG

    def reply(self, puzzle: int, responses: Sequence[str]) -> Verdict | str:
        verdict = self.verify(puzzle, responses[-1])
        return verdict if verdict.is_success or len(responses) == 3 else "Another."

    def oracle(self, puzzle: int) -> str:
        return str(puzzle % 10)


def riddle() -> gym.Env[Any, Any]:
    return RecordEpisodeStatistics(TimeLimit(Riddle(), 5))


def suite() -> TaskSuite:
    return TaskSuite([Task.from_text("riddle", Riddle)])


def own_vector_env() -> gym.vector.VectorEnv[Any, Any, Any]:
    return RecordVectorStatistics(make_text_vec(Riddle, num_envs=2))


VECTOR_ENVS = {
    "ours": own_vector_env,
    "SyncVectorEnv": lambda: SyncVectorEnv([riddle] * 2, autoreset_mode=AutoresetMode.SAME_STEP),
    "AsyncVectorEnv": lambda: AsyncVectorEnv([riddle] * 2, shared_memory=False, autoreset_mode=AutoresetMode.SAME_STEP),
    "MultiTaskEnv": lambda: SyncVectorEnv([lambda: MultiTaskEnv(suite())] * 2, autoreset_mode=AutoresetMode.SAME_STEP),
}


@contextmanager
def opened(name: str) -> Iterator[gym.vector.VectorEnv[Any, Any, Any]]:
    envs = VECTOR_ENVS[name]()
    try:
        yield envs
    finally:
        envs.close()


def roles(observations: Any) -> list[list[str]]:
    assert all(isinstance(observation, ChatText) for observation in observations)
    return [[message.role for message in messages_of(observation)] for observation in observations]


@pytest.mark.parametrize("name", VECTOR_ENVS)
def test_messages_come_through_vector_envs_and_their_wrappers(name: str) -> None:
    with opened(name) as envs:
        observations, _ = envs.reset(seed=3)
        assert roles(observations) == [["system", "user"]] * 2
        for turn in range(2):
            observations, _, terminated, _, infos = envs.step(["no", "no"])
            assert not np.any(terminated)
            assert roles(observations) == [["system", "user", *["assistant", "user"] * (turn + 1)]] * 2
        observations, _, terminated, _, infos = envs.step(["no", "no"])
    assert np.all(terminated)
    assert roles(observations) == [["system", "user"]] * 2, "the next episodes"
    assert set(infos["final_obs"].tolist()) == {""}


def test_messages_reach_the_policy_and_the_steps_that_are_learned_from() -> None:
    shown: list[str] = []

    class Wrong:
        def act(self, observations: Sequence[Any], task_ids: Any, **_: Any) -> tuple[list[str], list[None]]:
            shown.extend(observations)
            return ["no"] * len(observations), [None] * len(observations)

    played = suite()
    (group,) = rollout_groups(played, Wrong(), [played.next_problem(0)], 2)
    steps = [step for rollout in group.rollouts for step in rollout.steps]
    assert len(steps) == len(shown) == 6
    assert {len(chat) for chat in roles(shown)} == {len(chat) for chat in roles([s.observation for s in steps])}
    assert {len(chat) for chat in roles(shown)} == {2, 4, 6}


def test_an_env_of_conversations_passes_gymnasiums_checker() -> None:
    check_env(Riddle(), skip_render_check=True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda chat: pickle.loads(pickle.dumps(chat))])
def test_copies_keep_the_messages(copied: Any) -> None:
    chat = Riddle().prompt(7)
    again = copied(chat)
    assert type(again) is ChatText
    assert (again, messages_of(again)) == (chat, messages_of(chat))


def test_a_column_gives_back_the_prompt_that_was_written() -> None:
    chat = Riddle().prompt(7)
    for prompt in (chat, "Why?", ""):
        read = prompt_of(column_of(prompt))
        assert (read, messages_of(read)) == (prompt, messages_of(prompt))
    assert column_of(chat) == [message.plain for message in messages_of(chat)]


@pytest.mark.parametrize("column", [None, 7, [], ["a"], [{"role": "user"}], [{"role": "user", "content": 1}], {}])
def test_a_column_of_anything_else_is_refused(column: Any) -> None:
    with pytest.raises(ValueError, match="expected a text or chat messages, got"):
        prompt_of(column)
