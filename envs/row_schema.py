"""The columns of a data row: which task, level and split it is of, what it asks, and what is right.

Rows are read as people have them: `docs/rows.md` lists the forms, and each has a test. Columns of other names are named
by a mapping from `COLUMNS` to the row's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtgrpo_env.chat import ChatText, Message
from mtgrpo_env.chat_columns import chat_text
from mtgrpo_env.envs.chat_messages import content_of, message_of
from mtgrpo_env.envs.fields import plain, read_json, written
from mtgrpo_env.envs.records import Record
from mtgrpo_env.envs.row import ANSWER_COLUMNS, PROMPT_COLUMNS, GroundTruth, Row, missing_column
from mtgrpo_env.envs.row_choices import choices_of, letter_of, with_options
from mtgrpo_env.envs.science import sciknoweval_row
from mtgrpo_env.paper_frame import question_of

ANSWERS = ("reward_model.ground_truth", *ANSWER_COLUMNS)
"""Columns that hold what is right; the first that is there counts."""

_OF_PROMPTS_ALONE = tuple(column for column in PROMPT_COLUMNS if column != "messages")
_DATA_SOURCE_SPLITS = ("train", "test")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
)  # what `\beta` and `\frac` begin with where a backslash is missing
_MAX_NAME = 100  # characters of a task's name


def row_of(record: Record, position: int, columns: Mapping[str, str] | None = None) -> Row:
    """The problem in a record of a file.

    Args:
        record: of the file.
        position: of the record in it, from 0.
        columns: names of columns, by `COLUMNS`.

    Raises:
        ValueError: naming file, row and column, what was expected there and what was found.
    """
    if record.find("answerKey") is not None and record.find("details.level") is not None:
        record = _from_sciknoweval(record)
    columns = columns or {}
    task, level, split = names(record, columns)
    asked = prompt(record, columns)
    options = choices_of(record)
    truth = ground_truth(record, columns)
    if options and truth != "" and isinstance(truth, str | int):
        truth = {"target": letter_of(record, truth, options), "choices": [option.text for option in options]}
        asked = _ending_with(asked, with_options(asked, options).removeprefix(asked))
    question = record.text("extra_info.question", "question") or asked
    for column, value in (("prompt", asked), ("answer", truth), ("question", question)):
        if not _can_be_sent(value):
            raise record.error(column, "a text that can be encoded as UTF-8", value)
    if control := next(filter(None, map(_CONTROL.search, _texts(truth))), None):
        expected = f"a text without {control.group()!r}; JSON has LaTeX's backslash twice, as in \\\\frac"
        raise record.error("answer", expected, truth)
    return Row(
        task=task,
        level=level,
        split=split,
        prompt=asked,
        ground_truth=truth if isinstance(truth, Mapping) else str(truth),
        index=_index(record, position),
        question=question,
        source=record.source,
        columns=record.columns,
    )


def names(record: Record, columns: Mapping[str, str] | None = None) -> tuple[str, str | None, str | None]:
    """Task, level and split: each from its own column, else from `data_source`, else from the file's name.

    A `data_source` like "countdown-very_hard-test", whose last part is train or test, names all three; any other names
    the task.

    Raises:
        ValueError: naming file, row and column, if one is no name.
    """
    data_source = record.text("data_source")
    parts = data_source.rsplit("-", 2) if data_source else []
    if len(parts) == 3 and all(parts) and parts[2] in _DATA_SOURCE_SPLITS:
        task, level, split = parts
    else:
        task, level, split = data_source, None, None
    columns = columns or {}
    of_split = (columns["split"],) if "split" in columns else ("split", "extra_info.split")
    return (
        _name(record, columns.get("task", "task")) or _checked_name(record, "data_source", task or record.task) or "",
        _name(record, columns.get("level", "level")) or _checked_name(record, "data_source", level),
        (record.text(*filter(None, of_split)) or split or record.split or "").strip().lower() or None,
    )


def prompt(record: Record, columns: Mapping[str, str] | None = None) -> str:
    """What is asked, without the paper's frame; of chat messages a `ChatText`.

    The last message of the assistant in `messages`, or in a column that is named, is the answer; in the columns of a
    prompt it is a begun one. A system's message that says nothing is left out.

    Raises:
        ValueError: naming file, row, column and message, if there is none, or it is neither a text nor chat messages.
    """
    column, found = _first(record, "prompt", columns, PROMPT_COLUMNS)
    if isinstance(found, str):
        more = record.text("input") if column == "instruction" else None  # as in Alpaca's rows
        return f"{found}\n\n{more}" if more else question_of(found)
    if not isinstance(found, list) or not found:
        raise record.error(column, "a str or a list of chat messages", found)
    is_answered = _is_answered(found) and column not in _OF_PROMPTS_ALONE
    messages = _messages(record, column, found[:-1] if is_answered else found)
    if not any(message.role == "user" for message in messages):
        raise record.error(column, "chat messages with one of a user", found)
    return chat_text(messages)


def ground_truth(record: Record, columns: Mapping[str, str] | None = None) -> GroundTruth | int:
    """What is right: an object, given as one or as its JSON text; a text; a whole number; "" if the row does not say.

    Raises:
        ValueError: naming file, row and column, if it is anything else.
    """
    answered = record.find("messages") if record.find(*ANSWERS) is None else None
    if "answer" not in (columns or {}) and isinstance(answered, list) and _is_answered(answered):
        return _last_content(record, "messages", answered)
    if "answer" not in (columns or {}) and record.find(*ANSWERS) is None:
        return ""  # a reward of one's own may know what is right
    column, found = _first(record, "answer", columns, ANSWERS)
    if isinstance(found, str) and found.strip():
        return parsed_truth(found)
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, int):
        return found
    try:
        if isinstance(found, Mapping):
            return plain(found)
        if (number := written(found)) is not None:
            return number
    except ValueError as error:
        raise record.error(column, "a finite number", found) from error
    if isinstance(found, list) and found and isinstance(found[-1], Mapping):  # a completion as messages
        return _last_content(record, column, found)
    if isinstance(found, list):
        return {"target": found}
    raise record.error(column, "a text, a number or an object such as {'target': ...}, or its JSON", found)


def _index(record: Record, position: int) -> int:
    """The row's own `extra_info.index`; else an `index` that is a number, as other columns of that name may not be."""
    given = record.find("extra_info.index")
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise record.error("extra_info.index", "an int", given)
    own = record.find("index") if given is None else given
    return own if isinstance(own, int) and not isinstance(own, bool) else position


def _first(record: Record, name: str, columns: Mapping[str, str] | None, candidates: Sequence[str]) -> tuple[str, Any]:
    """The column that is named, else the first candidate that is there, and what it holds.

    Raises:
        ValueError: if there is neither.
    """
    if column := (columns or {}).get(name):
        candidates = (column,)
    for column in candidates:
        if (found := record.find(column)) is not None:
            return column, found
    raise missing_column(record.source, record.columns, name, candidates, columns or {})


def _name(record: Record, column: str) -> str | None:
    """A name or a number in a column, if it is there."""
    found = record.find(column) if column else None
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    return _checked_name(record, column, found)


def _checked_name(record: Record, column: str, name: Any) -> str | None:
    if name is None or (isinstance(name, str) and name.isprintable() and len(name) <= _MAX_NAME):
        return name or None
    expected = "a str" if not isinstance(name, str) else f"at most {_MAX_NAME} characters that can be printed"
    raise record.error(column, expected, name)


def _is_answered(messages: Sequence[Any]) -> bool:
    """Whether chat messages end with the assistant's answer."""
    last = messages[-1] if messages else None
    return len(messages) > 1 and isinstance(last, Mapping) and last.get("role") == "assistant"


def _messages(record: Record, column: str, given: Sequence[Any]) -> list[Message]:
    messages: list[Message] = []
    for place, message in enumerate(given):
        try:
            messages.append(message_of(message))
        except ValueError as error:
            raise ValueError(f"{record.source}, column {column}[{place}]: {error}") from error
    return [message for message in messages if message.content.strip()]


def _last_content(record: Record, column: str, messages: Sequence[Any]) -> str:
    try:
        return content_of(messages[-1])
    except ValueError as error:
        raise ValueError(f"{record.source}, column {column}[{len(messages) - 1}]: {error}") from error


def _ending_with(asked: str, more: str) -> str:
    """A prompt whose last question has something added."""
    if not isinstance(asked, ChatText):
        return asked + more
    place = max(i for i, message in enumerate(asked.messages) if message.role == "user")
    messages = list(asked.messages)
    messages[place] = messages[place]._replace(content=messages[place].content + more)
    return chat_text(messages)


def _from_sciknoweval(record: Record) -> Record:
    try:
        return Record(sciknoweval_row(record.columns), record.source)
    except ValueError as error:
        raise ValueError(f"{record.source}: {error}") from error


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def _can_be_sent(value: GroundTruth | int) -> bool:
    """Whether no text in a value has half of a surrogate pair, which no tokenizer and no server takes."""
    try:
        json.dumps(value, ensure_ascii=False, default=repr).encode()
    except UnicodeEncodeError:
        return False
    return True


def parsed_truth(text: str) -> GroundTruth:
    """The object that a text is the JSON of, or else the text."""
    try:
        parsed = read_json(text)
    except (ValueError, RecursionError):
        return text
    return parsed if isinstance(parsed, Mapping) else text
