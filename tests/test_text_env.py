from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Sum
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env import text_env
from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.spaces import TEXT
from mtgrpo_env.suite import Task
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, SCORER_ERROR, WRONG, Provenance, Verdict, hash_of, split_of
from mtgrpo_env.types import Split

SEEDS = st.integers(0, 2**63 - 1)


class CountingSum(Sum):
    """Counts the puzzles generated, over all envs."""

    generated = 0

    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        CountingSum.generated += 1
        return super().generate(rng)


@given(SEEDS)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_a_seed_names_the_whole_sequence_of_puzzles_in_every_env(seed: int) -> None:
    env, other = Sum(), Sum()
    sequence = [env.reset(seed=seed)[0], env.reset()[0], env.reset()[0]]
    assert sequence == [other.reset(seed=seed)[0], other.reset()[0], other.reset()[0]]


@given(SEEDS, st.sampled_from(["train", "test"]))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_every_puzzle_drawn_belongs_to_its_split(seed: int, split: Split) -> None:
    by_default, by_option = Sum(split=split), Sum()
    prompt, _ = by_default.reset(seed=seed)
    assert split_of(by_default.key(by_default.puzzle)) == split
    assert by_option.reset(seed=seed, options={"split": split})[0] == prompt


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_every_key_has_one_split(key: str) -> None:
    assert split_of(key) == split_of(key)
    assert split_of(key) in ("train", "test")


def test_an_eighth_of_all_puzzles_is_held_out() -> None:
    share = np.mean([split_of(f"puzzle {i}") == "test" for i in range(8000)])
    assert share == pytest.approx(1 / 8, abs=0.01)


@pytest.mark.parametrize(("text", "verdict"), [("3", CORRECT), ("4", WRONG), ("", NO_ANSWER)])
def test_a_response_is_judged_and_ends_the_episode(text: str, verdict: Verdict) -> None:
    env = Sum()
    env.reset(seed=0)
    env._puzzle = (1, 2)
    observation, reward, terminated, truncated, info = env.step(text)
    assert (observation, reward, terminated, truncated) == ("", verdict.reward, True, False)
    assert info == {"is_success": verdict.is_success, "outcome": verdict.outcome, "valid": True}


def test_rewards_are_1_for_correct_a_tenth_for_wrong_and_0_for_no_answer() -> None:
    assert [verdict.reward for verdict in (CORRECT, WRONG, NO_ANSWER)] == [1.0, 0.1, 0.0]
    assert [verdict.is_success for verdict in (CORRECT, WRONG, NO_ANSWER)] == [True, False, False]


def test_only_a_failure_of_the_scorer_is_invalid() -> None:
    assert [verdict.valid for verdict in (CORRECT, WRONG, NO_ANSWER, SCORER_ERROR)] == [True, True, True, False]


def test_a_failure_of_the_scorer_is_marked_invalid_in_info() -> None:
    class Broken(Sum):
        def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
            return SCORER_ERROR

    env = Broken()
    env.reset(seed=0)
    assert env.step("3")[4] == {"is_success": False, "outcome": "scorer_error", "valid": False}


def test_a_group_of_envs_generates_its_puzzle_once() -> None:
    envs = [CountingSum() for _ in range(8)]
    envs[0].reset(seed=123456)
    once = CountingSum.generated
    assert len({env.reset(seed=123456)[0] for env in envs}) == 1
    assert CountingSum.generated == once


def test_envs_of_different_levels_never_share_a_puzzle() -> None:
    class Levelled(Sum):
        def generate(self, rng: np.random.Generator) -> tuple[int, int]:
            assert isinstance(self.level, int)
            return self.level, int(rng.integers(1000))

    assert [Levelled(level=level).reset(seed=5)[0].split("+")[0] for level in (1, 2, 1)] == ["1", "2", "1"]


def test_the_store_of_recent_puzzles_is_bounded_and_forgetting_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_env, "_MAX_RECENT", 5)
    monkeypatch.setattr(text_env, "_recent_puzzles", {})
    env = Sum()
    prompts = [env.reset(seed=seed)[0] for seed in range(30)]
    assert len(text_env._recent_puzzles) <= 5
    assert [env.reset(seed=seed)[0] for seed in range(30)] == prompts


def test_puzzles_with_too_few_keys_to_be_split_are_an_error_that_says_so() -> None:
    class OnlyOne(Sum):
        def generate(self, rng: np.random.Generator) -> tuple[int, int]:
            return 1, 1

    split: Split = "test" if split_of("1+1=") == "train" else "train"
    with pytest.raises(RuntimeError, match=rf"OnlyOne \(level None\) generated no {split} puzzle .* too few distinct"):
        OnlyOne(split=split).reset(seed=0)


def test_the_prompt_is_the_key_and_an_empty_text_the_guess_unless_overridden() -> None:
    env = Sum()
    assert env.key((1, 2)) == "1+2="
    assert text_env.TextEnv.guess(env, (1, 2), np.random.default_rng(0)) == ""


def test_no_global_generator_is_touched() -> None:
    state = np.random.get_state()[1].tolist()  # noqa: NPY002  # pyright: ignore
    env = Sum()
    env.reset(seed=0)
    env.step("1")
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002  # pyright: ignore


def test_rendering_shows_the_prompt_and_then_the_response() -> None:
    env = Sum(render_mode="ansi")
    prompt, _ = env.reset(seed=0)
    assert env.render() == prompt
    env.step("17")
    assert env.render() == f"{prompt}\n> 17"
    env.reset()
    assert "\n>" not in (env.render() or "")
    silent = Sum()
    silent.reset(seed=0)
    assert silent.render() is None


def test_a_text_env_passes_gymnasiums_checker_rendering_included() -> None:
    check_env(Sum(render_mode="ansi"), skip_render_check=True)
    env = gym.wrappers.PassiveEnvChecker(Sum(render_mode="ansi"))
    env.reset(seed=0)
    assert isinstance(env.render(), str)


def test_all_text_envs_share_one_space() -> None:
    assert Sum().observation_space is Sum().action_space is TEXT


@pytest.mark.parametrize("use", [lambda env: env.step("1"), lambda env: env.puzzle])
def test_an_env_that_was_never_reset_says_so(use: Any) -> None:
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) before using Sum"):
        use(Sum())


def test_a_second_step_is_refused() -> None:
    env = Sum()
    env.reset(seed=0)
    env.step("1")
    with pytest.raises(gym.error.ResetNeeded, match="has ended"):
        env.step("1")


@pytest.mark.parametrize(
    ("action", "described"), [(3, "int: 3"), (None, "NoneType: None"), ("x" * 1_000_001, "a str of 1000001 characters")]
)
def test_an_action_outside_the_space_is_refused_and_leaves_the_episode_open(action: Any, described: str) -> None:
    env = Sum()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"at most 1000000 characters, got {described}"):
        env.step(action)
    env.step("1")


def test_unknown_splits_options_and_render_modes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"split must be one of \['train', 'test'\], got 'dev'"):
        Sum(split="dev")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="split must be one of .* got 'dev'"):  # noqa: RUF043
        Sum().reset(seed=0, options={"split": "dev"})
    with pytest.raises(ValueError, match=r"options must be among \['split'\], got \['level'\]"):
        Sum().reset(seed=0, options={"level": 1})
    with pytest.raises(ValueError, match="render_mode must be None or 'ansi', got 'human'"):
        Sum(render_mode="human")


# Conversations


class Countback(Sum):
    """The sum must be given digit by digit, last digit first; a blank response is no answer."""

    def reply(self, puzzle: tuple[int, int], responses: Sequence[str]) -> Verdict | str:
        wanted = str(sum(puzzle))[::-1]
        if not responses[-1].strip():
            return NO_ANSWER
        if responses[-1] != wanted[len(responses) - 1]:
            return WRONG
        return CORRECT if len(responses) == len(wanted) else "next?"


def test_a_conversation_goes_on_until_a_verdict_and_is_seen_whole() -> None:
    env = Countback(render_mode="ansi")
    prompt, _ = env.reset(seed=0)
    digits = str(sum(env.puzzle))[::-1]
    seen = prompt
    for digit in digits[:-1]:
        observation, reward, terminated, truncated, info = env.step(digit)
        seen += f"{digit}\nnext?"
        assert (observation, reward, terminated, truncated, info) == (seen, 0.0, False, False, {})
    observation, reward, terminated, _, info = env.step(digits[-1])
    assert (observation, reward, terminated) == ("", 1.0, True)
    assert info == {"is_success": True, "outcome": "correct", "valid": True}
    assert env.render() == f"{seen}\n> {digits[-1]}"
    with pytest.raises(gym.error.ResetNeeded):
        env.step("1")


def test_a_conversation_starts_afresh_with_each_episode() -> None:
    env = Countback()
    env.reset(seed=0)
    first = str(sum(env.puzzle))[-1]
    env.step(first)
    prompt, _ = env.reset(seed=0)
    assert env.step(first)[0] == f"{prompt}{first}\nnext?"


def test_a_conversation_that_outgrows_the_space_ends_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Countback()
    prompt, _ = env.reset(seed=0)
    monkeypatch.setattr(TEXT, "max_length", len(prompt) + 1)
    _, reward, terminated, _, info = env.step(str(sum(env.puzzle))[-1])
    assert (reward, terminated, info["outcome"]) == (0.0, True, "no_answer")


def test_provenance_names_task_version_level_split_and_seed_and_makes_the_puzzle_again() -> None:
    env = Sum(level="small")
    prompt, info = env.reset(seed=3, options={"split": "test"})
    provenance = Provenance(**info["provenance"])
    assert (provenance.task, provenance.version, provenance.level, provenance.split) == ("Sum", 1, "small", "test")
    again = Sum(level="small").draw(provenance.puzzle_seed, {"split": provenance.split})
    assert env.prompt(again) == prompt
    assert provenance.hash == hash_of(prompt)
    assert json.loads(json.dumps(info)) == info


def test_an_opening_is_what_reset_would_show_and_moves_nothing() -> None:
    env = Sum()
    shown, info = env.reset(seed=1)
    opening = env.opening(seed=5, options={"split": "test"})
    assert env.step(env.oracle(env.puzzle))[1] == 1.0
    assert env.opening(seed=1).prompt == shown
    again, its_info = env.reset(seed=5, options={"split": "test"})
    assert (opening.prompt, opening.puzzle, opening.provenance._asdict()) == (again, env.puzzle, its_info["provenance"])
    assert info != its_info
    with pytest.raises(ValueError, match="options must be among"):
        env.opening(seed=1, options={"level": 3})


class HalfAPair(Sum):
    def prompt(self, puzzle: tuple[int, int]) -> str:
        return super().prompt(puzzle) + "\ud83d"


def test_a_prompt_that_no_file_tokenizer_or_server_can_take_is_refused_by_the_name_of_its_task() -> None:
    said = r"must write prompts that UTF-8 can encode, got '\d+\+\d+=\\ud83d'"
    with pytest.raises(ValueError, match=f"HalfAPair {said}"):
        HalfAPair().reset(seed=0)
    with pytest.raises(TaskCheckError, match=f"task 'half'.*{said}"):
        check_task(Task.from_text("half", HalfAPair))
