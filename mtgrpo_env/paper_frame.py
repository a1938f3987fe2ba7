"""The frame that the paper's prompts stand in, as base models are asked: a dialogue written out as one text."""

from __future__ import annotations

from collections.abc import Sequence

from mtgrpo_env.chat import Message

PREAMBLE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. "
    "The assistant first thinks about the reasoning process in the mind and then provides the user with the answer.\n"
)
_USER, _ASSISTANT = "User: ", "\nAssistant:"
_FIRST_WORDS = " Let me solve this step by step."
_BEFORE, _AFTER = PREAMBLE + _USER, _ASSISTANT + _FIRST_WORDS


def framed(messages: Sequence[Message]) -> str:
    r"""Messages as the paper writes them; a response follows at once.

    The answer to the first question has its first words given, and a begun answer comes after them. A system message,
    of which the paper has none, is a line before the rest.

    >>> framed([Message("user", "1+1?")]).removeprefix(PREAMBLE)
    'User: 1+1?\nAssistant: Let me solve this step by step.'
    >>> framed([Message("user", "1+1?"), Message("assistant", " 3"), Message("user", "No.")]).removeprefix(_BEFORE)
    '1+1?\nAssistant: Let me solve this step by step. 3\nUser: No.\nAssistant:'
    """
    system = "".join(f"{message.content}\n" for message in messages if message.role == "system")
    turns, first_words = "", _FIRST_WORDS
    for message in messages:
        if message.role == "user":
            line_break = "\n" if turns else ""
            turns += f"{line_break}{_USER}{message.content}{_ASSISTANT}{first_words}"
            first_words = ""
        elif message.role == "assistant":
            turns += message.content if turns else f"{_ASSISTANT.lstrip()}{message.content}"
    return f"{system}{PREAMBLE}{turns}"


def question_of(prompt: str) -> str:
    """The question in a prompt of the paper; any other text is the question itself.

    >>> question_of(framed([Message("user", "Why?")])), question_of("Why?")
    ('Why?', 'Why?')
    """
    is_framed = prompt.startswith(_BEFORE) and prompt.endswith(_AFTER) and len(prompt) >= len(_BEFORE) + len(_AFTER)
    return prompt[len(_BEFORE) : -len(_AFTER)] if is_framed else prompt
