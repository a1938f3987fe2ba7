from __future__ import annotations

import copy
import pickle
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.spaces import MAX_TEXT_LENGTH, TEXT, FreeText


@given(st.text(max_size=60))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_text_holds_every_string_up_to_its_length(text: str) -> None:
    assert text in TEXT
    assert (text in FreeText(5)) == (len(text) <= 5)


@pytest.mark.parametrize("text", ["", " ", "\n", "{", "+", "é", "🙂", "\x00", "\ud800", "x" * MAX_TEXT_LENGTH])
def test_text_that_gymnasium_would_refuse_is_in_the_space(text: str) -> None:
    assert text in TEXT


@pytest.mark.parametrize("value", [None, 1, b"bytes", ["a"], np.array("a"), "x" * (MAX_TEXT_LENGTH + 1)])
def test_anything_but_a_string_of_that_length_is_not_in_the_space(value: object) -> None:
    assert value not in TEXT


def test_membership_costs_no_look_at_the_characters() -> None:
    class Watched(str):
        __slots__ = ()

        def __iter__(self):
            raise AssertionError("every character was looked at")

    assert Watched("x" * 10) in TEXT


def test_samples_are_members_and_seeded() -> None:
    space, same = FreeText(), FreeText()
    space.seed(3)
    same.seed(3)
    drawn = [space.sample() for _ in range(20)]
    assert drawn == [same.sample() for _ in range(20)]
    assert len(set(drawn)) > 10
    assert all(text in space for text in drawn)


@pytest.mark.parametrize("max_length", [1, 5, 200])
def test_samples_of_a_short_space_are_members(max_length: int) -> None:
    space = FreeText(max_length)
    space.seed(0)
    assert all(space.sample() in space for _ in range(50))


def test_spaces_are_equal_when_their_lengths_are() -> None:
    assert FreeText(5) == FreeText(5)
    assert FreeText(5) != FreeText(6)
    assert FreeText(5) != gym.spaces.Text(5)
    assert repr(FreeText(5)) == "FreeText(max_length=5)"


def test_copies_are_equal() -> None:
    assert copy.deepcopy(TEXT) == TEXT
    assert pickle.loads(pickle.dumps(TEXT)) == TEXT


def test_a_vector_env_carries_text_as_it_is() -> None:
    make = partial(gym.make, "mtgrpo_env:MTReason/Countdown-v0", level="mini")
    envs = gym.vector.SyncVectorEnv([make] * 3)
    prompts, _ = envs.reset(seed=[1, 1, 2])
    assert isinstance(prompts, tuple)
    assert prompts[0] == prompts[1] != prompts[2]
    _, rewards, terminated, _, infos = envs.step(("", "\\boxed{1\n+ ½}", "🙂"))
    np.testing.assert_array_equal(rewards, [0.0, 0.1, 0.0])
    assert terminated.all()
    assert infos["outcome"].tolist() == ["no_answer", "wrong", "no_answer"]
    envs.close()


def countdown() -> gym.Env[str, str]:
    return gym.make("mtgrpo_env:MTReason/Countdown-v0", level="mini")


def test_shared_memory_which_would_return_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"AsyncVectorEnv\(\.\.\., shared_memory=False\)"):
        gym.vector.AsyncVectorEnv([countdown] * 2)
    with pytest.raises(ValueError, match="'shared_memory': False"):
        gym.make_vec("mtgrpo_env:MTReason/Countdown-v0", num_envs=2, vectorization_mode="async", level="mini")


def test_an_async_vector_env_without_shared_memory_carries_text_as_it_is() -> None:
    expected, _ = gym.vector.SyncVectorEnv([countdown] * 2).reset(seed=[1, 2])
    envs = gym.vector.AsyncVectorEnv([countdown] * 2, shared_memory=False, context="spawn")
    try:
        observations, _ = envs.reset(seed=[1, 2])
        assert observations == expected
        assert envs.step(("", "\\boxed{½}"))[1].tolist() == [0.0, 0.1]
    finally:
        envs.close()
