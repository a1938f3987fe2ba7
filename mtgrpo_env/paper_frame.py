"""The frame that the paper's prompts stand in, as base models are asked: a dialogue written out as one text."""

from __future__ import annotations

from collections.abc import Sequence

from mtgrpo_env.chat import ChatFrame, Message

PREAMBLE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. "
    "The assistant first thinks about the reasoning process in the mind and then provides the user with the answer.\n"
)
NEXT_TURNS: tuple[str, ...] = ("\nUser:", "\nUser :", "\n User:")
"""What a base model goes on with after its answer, to ask the next question itself; some servers take four stop strings
at most. Where an answer is looked for, other spellings end a response as well (`envs.boxes`)."""

_BREAK, _USER, _ASSISTANT = "\n", "User: ", "\nAssistant:"
_FIRST_WORDS = " Let me solve this step by step."
_BEFORE, _AFTER = PREAMBLE + _USER, _ASSISTANT + _FIRST_WORDS


def framed(messages: Sequence[Message], examples: Sequence[Message] = ()) -> str:
    r"""Messages as the paper writes them; a response follows at once.

    The answer to the first question has its first words given, and a begun answer comes after them; so has that of each
    example, which stand between the preamble and the question. A system message, of which the paper has none, is a line
    before the rest.

    >>> framed([Message("user", "1+1?")]).removeprefix(PREAMBLE)
    'User: 1+1?\nAssistant: Let me solve this step by step.'
    >>> framed([Message("user", "1+1?"), Message("assistant", " 3"), Message("user", "No.")]).removeprefix(_BEFORE)
    '1+1?\nAssistant: Let me solve this step by step. 3\nUser: No.\nAssistant:'
    """
    system = "".join(f"{message.content}\n" for message in messages if message.role == "system")
    turns = "".join(_turn(message, f"{_FIRST_WORDS} ") for message in examples)
    told = [message for message in messages if message.role != "system"]
    if told[0].role == "assistant":
        turns += _ASSISTANT
    first = next((i for i, message in enumerate(told) if message.role == "user"), None)
    turns += "".join(_turn(message, _FIRST_WORDS if i == first else "") for i, message in enumerate(told))
    return f"{system}{PREAMBLE}{turns.lstrip(_BREAK)}"


def _turn(message: Message, first_words: str) -> str:
    """A line of the user with the beginning of the next, or what the assistant goes on with there."""
    if message.role == "user":
        return f"{_BREAK}{_USER}{message.content}{_ASSISTANT}{first_words}"
    return message.content


def paper_text(frame: ChatFrame, observation: str, task_id: int) -> str:
    """An observation of a task in the paper's frame, with what stands around it, but for the begun answer."""
    return framed(frame.own_messages(observation), frame.examples_of(task_id))


def question_of(prompt: str) -> str:
    """The question in a prompt of the paper; any other text is the question itself.

    >>> question_of(framed([Message("user", "Why?")])), question_of("Why?")
    ('Why?', 'Why?')
    """
    is_framed = prompt.startswith(_BEFORE) and prompt.endswith(_AFTER) and len(prompt) >= len(_BEFORE) + len(_AFTER)
    return prompt[len(_BEFORE) : -len(_AFTER)] if is_framed else prompt
