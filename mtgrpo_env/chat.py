"""Conversations as observations: a text that knows the messages it is made of.

An observation of a text task is what a person would be asked, a `str`. Where it is a conversation it is a `ChatText`, a
`str` with `messages`; a plain one is the one message of a user. How either is written for a model is the policy's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self


class Message(NamedTuple):
    """One turn of a conversation.

    Attributes:
        role: "system", "user" or "assistant".
        content: what is said.
    """

    role: str
    content: str

    @property
    def plain(self) -> dict[str, str]:
        """As chat templates, servers and data files have it."""
        return self._asdict()


class ChatText(str):
    """A conversation as the text of an observation: made of what is shown where no messages are understood, and those.

    Attributes:
        messages: at least one.

    >>> asked = ChatText("Hi. 1+1?", [Message("system", "Hi."), Message("user", "1+1?")])
    >>> asked == "Hi. 1+1?", asked.messages[1].content
    (True, '1+1?')
    """

    messages: tuple[Message, ...]

    def __new__(cls, text: str, messages: Iterable[Message]) -> Self:
        self = super().__new__(cls, text)
        self.messages = tuple(messages)
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:  # of pickle and deepcopy
        return (str(self), self.messages)

    def __getstate__(self) -> None:
        return None


def messages_of(observation: str) -> tuple[Message, ...]:
    """The messages of a conversation; a plain text is the one of a user.

    >>> messages_of("1+1?")
    (Message(role='user', content='1+1?'),)
    """
    return observation.messages if isinstance(observation, ChatText) else (Message("user", observation),)


def last_question(observation: str) -> str:
    """What the user asks last: without a system message, solved examples, or earlier turns.

    >>> last_question(ChatText("Hi. 1+1?", [Message("system", "Hi."), Message("user", "1+1?")]))
    '1+1?'
    """
    asked = (message.content for message in reversed(messages_of(observation)) if message.role == "user")
    return next(asked, str(observation))


def continued(observation: str, response: str, reply: str) -> ChatText:
    """The conversation after one more response, which goes on with an answer that was begun, and the user's reply."""
    messages = (*answered(messages_of(observation), response), Message("user", reply))
    return ChatText(f"{observation}{response}\n{reply}", messages)


def answered(messages: Sequence[Message], response: str) -> tuple[Message, ...]:
    """Messages and a response to them, which goes on with an answer that was begun.

    >>> answered([Message("user", "1+1?"), Message("assistant", "It is")], " 2.")[1]
    Message(role='assistant', content='It is 2.')
    """
    asked, begun = without_begun(messages)
    return (*asked, Message("assistant", begun + response))


def without_begun(messages: Sequence[Message]) -> tuple[tuple[Message, ...], str]:
    """The messages but for an answer that they begin, and its text; "" if they begin none.

    >>> without_begun([Message("user", "1+1?"), Message("assistant", "It is")])
    ((Message(role='user', content='1+1?'),), 'It is')
    """
    *earlier, last = messages
    return (tuple(earlier), last.content) if last.role == "assistant" else ((*earlier, last), "")


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """What stands around the observations of a run in a chat.

    Attributes:
        system: of the first message, where an observation brings none of its own; "" for none.
        examples: of each of the K tasks, solved problems as earlier turns; () for none.
        prefill: how every response begins; it is part of the response.
    """

    system: str = ""
    examples: tuple[tuple[Message, ...], ...] = ()
    prefill: str = ""

    def own_messages(self, observation: str) -> tuple[Message, ...]:
        """The messages of an observation, with a system message before them if there is any."""
        own = messages_of(observation)
        needs_system = bool(self.system) and own[0].role != "system"
        return (Message("system", self.system), *own) if needs_system else own

    def examples_of(self, task_id: int) -> tuple[Message, ...]:
        """The turns of a task's examples."""
        return self.examples[task_id] if self.examples else ()

    def messages(self, observation: str, task_id: int) -> tuple[Message, ...]:
        """All of a conversation but the begun answer: a system message, examples, and the observation's own.

        >>> frame = ChatFrame("Be brief.", examples=((Message("user", "1+2?"), Message("assistant", "3")),))
        >>> [message.content for message in frame.messages("1+1?", 0)]
        ['Be brief.', '1+2?', '3', '1+1?']
        """
        own = self.own_messages(observation)
        first = 1 if own[0].role == "system" else 0
        return (*own[:first], *self.examples_of(task_id), *own[first:])
