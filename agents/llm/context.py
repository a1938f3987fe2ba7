"""The prompts of a run before it starts: how they are written, how long they are, and which find no room."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.llm.architectures import check_architecture, context_of
from mtgrpo_env.agents.llm.control_tokens import TokenIds
from mtgrpo_env.agents.llm.policy import load_config, load_generation_config, load_tokenizer
from mtgrpo_env.agents.llm.prompts import PromptFormat, encode_usable, prompt_format
from mtgrpo_env.agents.llm.stopping import check_end_ids, check_open, check_stop, end_ids_in
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer
from mtgrpo_env.chat import Message, messages_of
from mtgrpo_env.evaluation import LeftOutProblem
from mtgrpo_env.log_once import log_once
from mtgrpo_env.suite import TaskSuite, no_problem
from mtgrpo_env.text_env import Opening
from mtgrpo_env.types import SPLITS, IntArray, Problem
from mtgrpo_env.worked_examples import WorkedExamples, worked_examples

_LOG = logging.getLogger(__name__)
_TINY = "the tiny model"
_PROMPTS = 8  # problems of each generated task that are looked at


@dataclass(frozen=True, slots=True)
class RunPrompts:
    """How the prompts of a run are written.

    Attributes:
        tokenizer: of the model.
        model_config: of the model that they are written for; see `resumption.source_of`.
        format: writes them.
        longest: (K,) tokens of the longest prompt looked at of each task, among those that take part.
        samples: (K,) a whole prompt of each task as the model sees it.
        left_out: problems that find no room or cannot be written, among those looked at.
    """

    tokenizer: PreTrainedTokenizerBase
    model_config: PretrainedConfig
    format: PromptFormat
    longest: tuple[int, ...]
    samples: tuple[str, ...]
    left_out: tuple[LeftOutProblem, ...]

    def count_left_out(self, names: Sequence[str]) -> IntArray:
        """(K,) problems left out of the tasks of these names."""
        counts = Counter(problem.task for problem in self.left_out)
        return np.array([counts[name] for name in names], dtype=np.int64)


def run_prompts(config: RunConfig, suite: TaskSuite) -> RunPrompts:
    """The prompts of a run; from now on its suite leaves out what finds no room, and what is shown as an example.

    Raises:
        ValueError: if the model is of a type that cannot be run, no problem of a task finds room in its context, or the
            prompt options do not fit.
        OSError: if the model's files cannot be read.
    """
    tokenizer = tiny_tokenizer() if config.model is None else load_tokenizer(config.model)
    model_config = config_of(config)
    context = context_of(model_config)
    if config.max_new_tokens >= context:
        model = config.model or _TINY
        raise ValueError(f"max_new_tokens must be below {context}, the context of {model}, got {config.max_new_tokens}")
    suite.leave_out(no_problem)  # what an earlier run left out
    examples = worked_examples(suite, config.examples)
    written = prompt_format(config, tokenizer, examples.turns)
    end_ids = _end_ids(config, model_config, tokenizer)
    check_end_ids(end_ids, model_config.get_text_config().vocab_size)
    check_stop(config.stop, tokenizer)
    room = _Room(
        suite,
        written,
        config.model,
        context=context,
        response=config.max_new_tokens,
        examples=examples,
        check=lambda ids: check_open(ids, end_ids, tokenizer),
    )
    problems = suite.glimpse(_PROMPTS)
    lengths = room.lengths(problems)
    room.check(problems, lengths)
    suite.leave_out(room.is_left_out)
    for task_id, split in product(range(suite.num_tasks), SPLITS):
        suite.num_problems(task_id, split)  # refuses a list of which nothing is left
    longest, left_out = [0] * suite.num_tasks, list[LeftOutProblem]()
    for problem, length in zip(problems, lengths, strict=True):
        if room.holds(length):
            longest[problem.task_id] = max(longest[problem.task_id], length)
        else:
            left_out.append(room.left_out(problem, length))
    shown = suite.held_out(1)
    encoded = written.encode([_opening(suite, one).prompt for one in shown], [one.task_id for one in shown])
    samples = tuple(str(tokenizer.decode(list(ids))) for ids in encoded)
    return RunPrompts(tokenizer, model_config, written, tuple(longest), samples, tuple(left_out))


def config_of(config: RunConfig) -> PretrainedConfig:
    """The config of a run's model, or of the tiny one if it names none.

    Raises:
        ValueError: naming the type of model, if it cannot be run.
        OSError: if it cannot be read.
    """
    if config.model is not None:
        model_config = load_config(config.model)
        check_architecture(model_config)
        return model_config
    with torch.device("meta"):
        return tiny_model(tiny_tokenizer(), TinyModelConfig(), seed=0).config


def _end_ids(config: RunConfig, own: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    generation = None if config.model is None else load_generation_config(config.model)
    return end_ids_in([one for one in (generation, own, own.get_text_config()) if one is not None], tokenizer)


def longest_prompts(suite: TaskSuite) -> tuple[int, ...]:
    """(K,) characters of the longest prompt of each task, for a look at a run without a tokenizer."""
    longest = [0] * suite.num_tasks
    for problem in suite.glimpse(_PROMPTS):
        longest[problem.task_id] = max(longest[problem.task_id], len(_opening(suite, problem).prompt))
    return tuple(longest)


class _Room:
    """What finds room in a context.

    Args:
        suite: the tasks.
        written: the format of the prompts.
        model: whose context it is; None for the tiny one.
        context: in tokens.
        response: tokens that each response may have.
        examples: shown before every prompt; they take no part themselves.
        check: raises a ValueError of token ids that are no prompt.
    """

    def __init__(
        self,
        suite: TaskSuite,
        written: PromptFormat,
        model: str | None,
        *,
        context: int,
        response: int,
        examples: WorkedExamples,
        check: Callable[[TokenIds], None],
    ) -> None:
        self._suite, self._format, self._is_tiny = suite, written, model is None
        self._model = model or _TINY
        self._context, self._response, self._examples = context, response, examples
        self._check = check
        self._measured: dict[tuple[int, tuple[Message, ...]], int] = {}
        self._refusals: dict[tuple[int, tuple[Message, ...]], str] = {}
        self._named: set[int] = set()  # tasks of which problems without room were named one by one

    def lengths(self, problems: Sequence[Problem]) -> list[int]:
        """Tokens of the prompts of problems, which are remembered: every row of a file is among them."""
        task_ids, prompts = [p.task_id for p in problems], [_opening(self._suite, p).prompt for p in problems]
        return self._lengths(prompts, task_ids)

    def holds(self, length: int) -> bool:
        """Whether a prompt of so many tokens leaves room for a response; one without tokens never does."""
        return 0 < length <= self._context - self._response

    def is_left_out(self, task_id: int, opening: Opening) -> bool:
        """See `LeftOut`; the first of each task that finds no room is logged."""
        if self._examples.shows(task_id, opening):
            return True
        length = self._length(task_id, opening)
        if self.holds(length):
            return False
        name = self._suite.names[task_id]
        if task_id in self._named:
            return True
        what = "problems without room for a response are" if length else "problems whose prompt cannot be written are"
        log_once(_LOG, logging.WARNING, f"task {name!r}: {what} left out")
        return True

    def check(self, problems: list[Problem], lengths: list[int]) -> None:
        """Refuse a task of which no problem finds room.

        Raises:
            ValueError: naming the task, its shortest prompt and the context.
        """
        fit = Counter(p.task_id for p, length in zip(problems, lengths, strict=True) if self.holds(length))
        for task_id, name in enumerate(self._suite.names):
            own = [length for p, length in zip(problems, lengths, strict=True) if p.task_id == task_id]
            if fit[task_id] or not own:
                continue
            if not any(own):
                refusal = next((why for (k, _), why in self._refusals.items() if k == task_id), "they are empty")
                raise ValueError(f"task {name!r}: none of {len(own)} prompts can be used: {refusal}")
            shortest = min(filter(None, own))
            another = "choose the mini suite, or another model" if self._is_tiny else "choose another model"
            if self._examples.turns:
                another = f"show fewer --examples, or {another}"
            advice = f"lower max_new_tokens, or {another}" if shortest < self._context else another
            raise ValueError(
                f"task {name!r}: the shortest of {len(own)} prompts has {shortest} tokens, which with max_new_tokens "
                f"{self._response} exceeds the context of {self._model}, {self._context}: {advice}"
            )

    def left_out(self, problem: Problem, length: int) -> LeftOutProblem:
        """Where a problem stands, and how long its prompt is, or why it has none."""
        self._named.add(problem.task_id)
        refusal = self._refusals.get((problem.task_id, messages_of(_opening(self._suite, problem).prompt)))
        return LeftOutProblem.of(self._suite, problem, refusal or f"{length:,} tokens")

    def _length(self, task_id: int, opening: Opening) -> int:
        known = self._measured.get((task_id, messages_of(opening.prompt)))
        return self._lengths([opening.prompt], [task_id])[0] if known is None else known

    def _lengths(self, prompts: Sequence[str], task_ids: Sequence[int]) -> list[int]:
        """0 of what cannot be written."""
        keys = list(zip(task_ids, map(messages_of, prompts), strict=True))
        encoded = encode_usable(self._format, prompts, task_ids, self._check)
        self._refusals |= {key: str(ids) for key, ids in zip(keys, encoded, strict=True) if isinstance(ids, ValueError)}
        lengths = [0 if isinstance(ids, ValueError) else len(ids) for ids in encoded]
        self._measured |= dict(zip(keys, lengths, strict=True))
        return lengths


def _opening(suite: TaskSuite, problem: Problem) -> Opening:
    opening = suite.opening(problem)
    assert opening is not None, "language models are trained on text tasks"
    return opening
