"""A model's context: what does not fit is refused before a run, and costs no other prompt its room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.context import WithinContext, check_model
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.named_tasks import read_tasks

MakePolicy = Callable[..., LanguageModelPolicy]

TASKS = ("countdown-mini", "zebra-mini")


def config_of(model: Path | None, *, max_new_tokens: int) -> TrainConfig:
    return TrainConfig(model=None if model is None else str(model), tasks=TASKS, max_new_tokens=max_new_tokens)


def test_what_fits_passes(model_folder: Path) -> None:
    check_model(config_of(model_folder, max_new_tokens=40), read_tasks(TASKS))


def test_a_response_that_fills_the_context_is_refused(model_folder: Path) -> None:
    complaint = f"max_new_tokens must be below 64, the context of {model_folder}, got 64"
    with pytest.raises(ValueError, match=complaint):
        check_model(config_of(model_folder, max_new_tokens=64), read_tasks(TASKS))
    with pytest.raises(ValueError, match="must be below 128, the context of the tiny model, got 200"):
        check_model(config_of(None, max_new_tokens=200), read_tasks(TASKS))


def test_a_prompt_that_leaves_too_little_room_is_refused_with_its_task(model_folder: Path, tmp_path: Path) -> None:
    config = replace(config_of(model_folder, max_new_tokens=60), out=tmp_path / "run")
    expected = r"task 'zebra-mini' has a prompt of \d\d tokens, which with max_new_tokens 60 exceeds .*, 64: lower"
    with pytest.raises(ValueError, match=expected):
        Trainer(config=config, callbacks=[]).train()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_each_response_has_the_room_that_its_own_prompt_leaves(make_policy: MakePolicy) -> None:
    policy = make_policy()
    policy.decoding = Decoding(max_new_tokens=10**6)
    context = policy.model.config.max_position_embeddings
    prompts = ["1:", "1" * (context - 3), "2:", "3" * context, "4" * (context + 5), ""]
    within = WithinContext(policy)
    assert within.rooms(prompts) == [context - 2, 3, context - 2, 0, 0, 0]
    texts, completions = within.act(prompts, [0] * len(prompts))
    assert [len(completion.prompt) for completion in completions] == [2, context - 3, 2, context, context + 5, 0]
    assert len(completions[1].tokens) <= 3
    assert [bool(completion.tokens) for completion in completions] == [True, True, True, False, False, False]
    assert texts[3:] == ["", "", ""]


def test_where_all_fit_nothing_changes(make_policy: MakePolicy) -> None:
    prompts = ["1:", "23:", "1:", "4567:"]
    plain, within = (make_policy() for _ in range(2))
    assert WithinContext(within).act(prompts, [0] * 4) == plain.act(prompts, [0] * 4)
