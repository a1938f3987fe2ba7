"""Prompts and responses in a model's context: what does not fit is refused before a run, or answered with nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.architectures import check_architecture, context_of
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.policy import load_config, load_tokenizer
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer
from mtgrpo_env.rollout import in_order
from mtgrpo_env.suite import TaskSuite

if TYPE_CHECKING:
    from mtgrpo_env.agents.llm.policy import LanguageModelPolicy

_PROMPTS = 8  # problems of each generated task that are looked at

TokenCount = Callable[[str], int]


def check_model(config: TrainConfig, suite: TaskSuite) -> None:
    """Make sure that a run's model can be run and its context holds prompts and responses, before the model is built.

    Raises:
        ValueError: naming the type of model, or the task, the tokens and the context.
    """
    tokenizer, model_config = files_of(config)
    check_context(config, suite, model_config, prompt_tokens(suite, token_count(tokenizer)))


def check_context(
    config: TrainConfig, suite: TaskSuite, model_config: PretrainedConfig, prompt_tokens: Sequence[int]
) -> None:
    """Refuse a context that does not hold `max_new_tokens` and (K,) `prompt_tokens`, the longest looked at.

    Raises:
        ValueError: naming the task, the tokens and the context.
    """
    context, response = context_of(model_config), config.max_new_tokens
    model = config.model or "the tiny model"
    if response >= context:
        raise ValueError(f"max_new_tokens must be below {context}, the context of {model}, got {response}")
    longest, task = max(zip(prompt_tokens, suite.names, strict=True))
    if longest + response > context:
        advice = "lower max_new_tokens, or choose" if config.model else "choose the mini suite, or"
        raise ValueError(
            f"task {task!r} has a prompt of {longest} tokens, which with max_new_tokens {response} exceeds the context "
            f"of {model}, {context}: {advice} another model"
        )


def files_of(config: TrainConfig) -> tuple[PreTrainedTokenizerBase, PretrainedConfig]:
    """The tokenizer and the config of a run's model, without its weights; those of the tiny one if it names none.

    Raises:
        ValueError: naming the type of model, if it cannot be run.
    """
    if config.model is not None:
        model_config = load_config(config.model)
        check_architecture(model_config)
        return load_tokenizer(config.model), model_config
    tokenizer = tiny_tokenizer()
    with torch.device("meta"):
        return tokenizer, tiny_model(tokenizer, TinyModelConfig(), seed=0).config


def token_count(tokenizer: PreTrainedTokenizerBase) -> TokenCount:
    """How many tokens a prompt has."""
    return lambda prompt: len(tokenizer(prompt)["input_ids"])


def prompt_tokens(suite: TaskSuite, count: TokenCount) -> tuple[int, ...]:
    """(K,) of the longest prompt of each task, among all rows or some held-out problems; streams stay as they are."""
    longest = [0] * suite.num_tasks
    for problem in suite.glimpse(_PROMPTS):
        opening = suite.opening(problem)
        assert opening is not None, "language models are trained on text tasks"
        longest[problem.task_id] = max(longest[problem.task_id], count(opening.prompt))
    return tuple(longest)


class WithinContext:
    """A policy whose responses are each cut to the room that their own prompt leaves in the context.

    A prompt that leaves none, or has no token, is answered with nothing.

    Args:
        policy: generates; its `max_new_tokens` is the most that any response gets.
    """

    def __init__(self, policy: LanguageModelPolicy) -> None:
        self._policy, self._decoding = policy, policy.decoding
        self.context = context_of(policy.model.config)

    def rooms(self, prompts: Sequence[str]) -> list[int]:
        """Tokens that the response to each prompt may have; 0 where it leaves no room."""
        limit = self._decoding.max_new_tokens
        return [max(0, min(limit, self.context - len(ids))) if ids else 0 for ids in self._tokens(prompts)]

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[Completion]]:
        """See `LanguageModelPolicy.act`."""
        return in_order(self.stream(observations, task_ids, deterministic=deterministic))

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, str, Completion]]:
        """See `LanguageModelPolicy.stream`; those with less room come later."""
        rooms = self.rooms(observations)
        for room in sorted(set(rooms), reverse=True):
            places = [place for place, own in enumerate(rooms) if own == room]
            part = [observations[place] for place in places]
            if room == 0:
                unread = zip(places, self._tokens(part), strict=True)
                yield from ((place, "", Completion(tuple(ids), (), ())) for place, ids in unread)
                continue
            self._policy.decoding = replace(self._decoding, max_new_tokens=room)
            own_ids = [task_ids[place] for place in places]
            for place, text, completion in self._policy.stream(part, own_ids, deterministic=deterministic):
                yield places[place], text, completion

    def _tokens(self, prompts: Sequence[str]) -> Sequence[Sequence[int]]:
        return self._policy.tokenizer(list(prompts))["input_ids"]
