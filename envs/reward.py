"""The scorer as plain functions: for trainers that have no envs, only a prompt, a completion and a ground truth.

`reward` is the function; `compute_score` has the signature that verl calls, `trl_reward` the one that TRL calls.
A completion is hostile input, as everywhere: it is never evaluated, and what needs a computer algebra
system is judged in a process that is killed at its deadline. So is a ground truth: it may name a built-in reward or a
verifier, and no function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from mtgrpo_env.chat import Message
from mtgrpo_env.chat_columns import chat_text
from mtgrpo_env.envs.chat_messages import response_of
from mtgrpo_env.envs.fields import read_json, written
from mtgrpo_env.envs.named_scorers import Reward, is_known, known_scorer, named_scorer
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.text_env import NO_ANSWER, Verdict

Messages = Sequence[Mapping[str, Any]]
"""Of a chat: each has a "role" and a "content"."""


def reward(
    prompt: str | Messages,
    completion: str | Messages,
    ground_truth: GroundTruth | float,
    *,
    task: str | None = None,
    reward: Reward | None = None,
) -> float:
    r"""What a completion earns, and NaN where the scorer itself failed.

    A verifier gives 1.0 for a right answer, 0.1 for a wrong one and 0.0 for none; a reward function what it returns.

    >>> from mtgrpo_env.envs.reward import reward
    >>> truth = {"task": "countdown-mini", "numbers": "3,5,7", "target": 22}
    >>> reward("C3,5,7=22:", r"\boxed{3*5+7}", truth), reward("C3,5,7=22:", r"\boxed{3*5-7}", truth)
    (1.0, 0.1)
    >>> reward("30 + 42?", "The answer is 72.", "72", reward="number")
    1.0

    Args:
        prompt: what was asked; some tasks look for the answer's origin, or for the options, in it.
        completion: the response, or the messages that hold it; of a conversation, those of the assistant in order.
        ground_truth: of the row: fields, also as JSON text, a plain text, or a number. Its own "reward", then its own
            "task", say what scores.
        task: a verifier, like "arc-mini" or "arc", where the ground truth names none; some answers are written
            otherwise at the mini levels.
        reward: what scores where nothing else says so: a name or a function, as `named_scorer` takes it.

    Raises:
        ValueError: if nothing says what scores, or what does is unknown or cannot read the ground truth, or the
            messages are none of a chat. No text raises.
    """
    judged = verdict(prompt, completion, ground_truth, task=task, reward=reward)
    return judged.reward if judged.valid else math.nan


def verdict(
    prompt: str | Messages,
    completion: str | Messages,
    ground_truth: GroundTruth | float,
    *,
    task: str | None = None,
    reward: Reward | None = None,
) -> Verdict:
    """`reward` with all there is to say: correctness, the outcome, and whether the scorer failed.

    Raises:
        ValueError: as in `reward`.
    """
    return _Case.of(prompt, completion, ground_truth, task, reward).verdict()


def reply(
    prompt: str | Messages,
    completion: str | Messages,
    ground_truth: GroundTruth | float,
    *,
    task: str | None = None,
    reward: Reward | None = None,
) -> Verdict | str:
    """What a conversation so far is met with: a verdict that ends it, or the text of the next turn.

    Raises:
        ValueError: as in `reward`.
    """
    return _Case.of(prompt, completion, ground_truth, task, reward).reply()


def compute_score(
    data_source: str,
    solution_str: str | Messages,
    ground_truth: GroundTruth | float | None,
    extra_info: Mapping[str, Any] | None = None,
    *,
    reward: Reward | None = None,
) -> dict[str, float]:
    """What verl calls, as `custom_reward_function`: the reward as "score", correctness as "acc".

    verl has no word for a scorer that failed: the score is then 0.0, and "valid" says so.

    Args:
        data_source: of the row: "<task>-<level>-<split>" of a verifier, or any other name, such as "openai/gsm8k".
        solution_str: the response; or the messages that hold it, which verl does not pass.
        ground_truth: as in `reward`; None where the row has none, which a function may do without.
        extra_info: of the row; its "question" stands for the prompt, which verl does not pass, and a function is given
            its fields as columns.
        reward: as in `reward`; verl passes it from `custom_reward_function.reward_kwargs`.

    Raises:
        ValueError: as in `reward`.
    """
    own = extra_info or {}
    question = own.get("question") or ""
    model = {"ground_truth": ground_truth}
    columns = {**own, "data_source": data_source, "extra_info": extra_info, "reward_model": model}
    task = _task_of(data_source)
    judged = _Case.of(question, solution_str, ground_truth, task, reward, columns).verdict()
    return {"score": judged.reward, "acc": float(judged.is_success), "valid": float(judged.valid)}


def trl_reward(
    prompts: Sequence[str | Messages],
    completions: Sequence[str | Messages],
    *,
    reward: Reward | None = None,
    **columns: Any,
) -> list[float | None]:
    """What TRL calls, as one of `reward_funcs`; None where the scorer failed.

    Slow scorers score the completions of a batch side by side.

    Args:
        prompts: as TRL passes them.
        completions: likewise.
        reward: as in `reward`, given by `functools.partial`.
        **columns: the other columns. The ground truth is in "reward_model", as in exported rows, where it may be None
            for a function, else in "ground_truth" or "answer"; a "data_source" is read as by `compute_score`.

    Raises:
        ValueError: as in `reward`, or if there is no ground truth.
    """
    cases = [
        _Case.of(prompt, completion, _truth_in(row), _task_of(row.get("data_source") or ""), reward, row)
        for prompt, completion, row in zip(prompts, completions, _rows(prompts, columns), strict=True)
    ]
    for case in cases:
        case.scorer.prefetch(case.problem, case.responses[-1])
    judged = [case.verdict() for case in cases]
    return [verdict.reward if verdict.valid else None for verdict in judged]


class _Case(NamedTuple):
    """A problem and the responses to it."""

    scorer: RowScorer
    problem: Any
    responses: tuple[str, ...]

    @classmethod
    def of(
        cls,
        prompt: str | Messages,
        completion: str | Messages,
        ground_truth: GroundTruth | float | None,
        task: str | None,
        reward: Reward | None,
        columns: Mapping[str, Any] | None = None,
    ) -> _Case:
        truth = _read(ground_truth)
        scorer = _scorer_of(truth, task, reward)
        asked = _asked(prompt)
        row = Row(
            task=task or scorer.name,
            level=None,
            split=None,
            prompt=asked,
            ground_truth=truth,
            index=0,
            question=asked,
            source="the row to score",
            columns=columns or {},
        )
        return cls(scorer, scorer.problem(row), _responses(completion))

    def reply(self) -> Verdict | str:
        return self.scorer.reply(self.problem, self.responses)

    def verdict(self) -> Verdict:
        told = self.reply()
        return told if isinstance(told, Verdict) else NO_ANSWER  # a conversation that goes on holds no answer yet


def _scorer_of(truth: GroundTruth, task: str | None, reward: Reward | None) -> RowScorer:
    """What the data names, where that is known; else what the caller names."""
    fields = {} if isinstance(truth, str) else truth
    if isinstance(named := fields.get("reward"), str):
        return _known(named)
    for named in (fields.get("task"), task):
        if isinstance(named, str) and is_known(named):
            return _known(named)
    if reward is not None:
        return _named(reward)
    raise ValueError(
        "nothing says what scores: expected a ground truth with a 'reward' (built in, such as 'number') or a 'task' "
        f"(a verifier, such as 'arc' or 'arc-mini'), or the argument reward; got task "
        f"{fields.get('task', task)!r:.80} and the ground truth {truth!r:.80}"
    )


_known = cache(known_scorer)
_named = cache(named_scorer)


def _task_of(data_source: str) -> str | None:
    """`<task>-<level>-<split>` without the split; None for other sources."""
    return data_source.rpartition("-")[0] or None


def _rows(prompts: Sequence[str | Messages], columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns as rows; what is no list with an entry for each prompt is no column."""
    lists = {name: values for name, values in columns.items() if isinstance(values, list | tuple)}
    rows = [{"prompt": prompt} for prompt in prompts]
    for name, values in lists.items():
        if len(values) == len(rows):
            for row, value in zip(rows, values, strict=True):
                row[name] = value
    return rows


def _truth_in(row: Mapping[str, Any]) -> GroundTruth | float | None:
    model = row.get("reward_model")
    found = model.get("ground_truth") if isinstance(model, Mapping) else row.get("ground_truth", row.get("answer"))
    if found is None and not isinstance(model, Mapping):
        raise ValueError(f"expected a ground truth in a column reward_model, ground_truth or answer, got {sorted(row)}")
    return found


def _read(ground_truth: GroundTruth | float | None) -> GroundTruth:
    """Fields, which may be written as JSON; any other text is the answer itself; "" where the row does not say."""
    if ground_truth is None:
        return ""
    if (number := written(ground_truth)) is not None:
        return number
    if not isinstance(ground_truth, str | Mapping):
        raise ValueError(f"expected a ground truth like {{'target': ...}} or a text, got {ground_truth!r:.80}")
    if isinstance(ground_truth, str) and ground_truth.lstrip().startswith("{"):
        try:
            fields = read_json(ground_truth)
        except (ValueError, RecursionError):
            return ground_truth
        return fields if isinstance(fields, Mapping) else ground_truth
    return ground_truth


def _asked(prompt: str | Messages) -> str:
    """As `row_schema.prompt` has it, whatever the roles."""
    if isinstance(prompt, str):
        return prompt
    return chat_text(Message(str(message.get("role")), response_of(message)) for message in prompt)


def _responses(completion: str | Messages) -> tuple[str, ...]:
    """One for each turn of the assistant; an empty one where it said nothing."""
    if isinstance(completion, str):
        return (completion,)
    said = [message for message in completion if message.get("role") == "assistant"]
    return tuple(map(response_of, said)) or ("",)
