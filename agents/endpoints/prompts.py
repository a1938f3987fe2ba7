"""How an observation is sent to a server: as the messages of a chat, or as a text to go on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtgrpo_env.chat import ChatFrame, Message, without_begun
from mtgrpo_env.chat_columns import plain_messages
from mtgrpo_env.paper_frame import paper_text


@dataclass(frozen=True, slots=True)
class WrittenPrompt:
    """A prompt for a server.

    Attributes:
        fields: of the request.
        begun: the beginning of every response, by option; a server sends what comes after it. An answer that an
            observation itself begins is part of the prompt.
    """

    fields: Mapping[str, Any]
    begun: str = ""


PromptWriter = Callable[[str, int], WrittenPrompt]
"""Writes an observation of the task of an id."""


@dataclass(frozen=True, slots=True)
class ChatMessages:
    """Messages, which the server puts into the model's own template.

    A begun answer is the last of them, to be gone on with, as vLLM and SGLang understand it.

    Attributes:
        frame: what stands around every observation.

    >>> ChatMessages(ChatFrame(system="Be brief."))("1+1?", 0).fields["messages"][0]
    {'role': 'system', 'content': 'Be brief.'}
    """

    frame: ChatFrame = field(default_factory=ChatFrame)

    def __call__(self, observation: str, task_id: int) -> WrittenPrompt:
        asked, begun = without_begun(self.frame.messages(observation, task_id))
        begun += self.frame.prefill
        if not begun:
            return WrittenPrompt({"messages": plain_messages(asked)})
        messages = plain_messages([*asked, Message("assistant", begun)])
        fields = {"messages": messages, "continue_final_message": True, "add_generation_prompt": False}
        return WrittenPrompt(fields, self.frame.prefill)


@dataclass(frozen=True, slots=True)
class PaperText:
    """The paper's frame for base models.

    Attributes:
        frame: what stands around every observation.
    """

    frame: ChatFrame = field(default_factory=ChatFrame)

    def __call__(self, observation: str, task_id: int) -> WrittenPrompt:
        text = paper_text(self.frame, observation, task_id) + self.frame.prefill
        return WrittenPrompt({"prompt": text}, self.frame.prefill)


@dataclass(frozen=True, slots=True)
class PlainText:
    """Observations as they stand, as base models and the models trained here are used.

    Attributes:
        frame: of which only the begun answer can be used.

    Raises:
        ValueError: if the frame has a system message or examples.
    """

    frame: ChatFrame = field(default_factory=ChatFrame)

    def __post_init__(self) -> None:
        if self.frame.system or self.frame.examples:
            raise ValueError("a system message and examples need prompt chat or paper, got plain")

    def __call__(self, observation: str, task_id: int) -> WrittenPrompt:
        return WrittenPrompt({"prompt": f"{observation}{self.frame.prefill}"}, self.frame.prefill)


WRITERS: Mapping[str, Callable[[ChatFrame], PromptWriter]] = {
    "chat": ChatMessages,
    "paper": PaperText,
    "plain": PlainText,
}
"""Writers by the names of the prompts' forms."""
