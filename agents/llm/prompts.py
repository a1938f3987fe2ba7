"""How an observation is written for a model: in its chat template, in the paper's frame, or as it stands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from threading import Thread
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.address_space import address_space
from mtgrpo_env.agents.llm.control_tokens import ControlTokens, TokenIds, ids_of
from mtgrpo_env.chat import ChatFrame, Message, without_begun
from mtgrpo_env.chat_columns import plain_messages
from mtgrpo_env.paper_frame import NEXT_TURNS, paper_text
from mtgrpo_env.prompt_options import PromptOptions
from mtgrpo_env.stateful import Stateful

_LOG = logging.getLogger(__name__)
_SECONDS = 10.0  # that a chat template may take over a message
_BYTES = 2 << 30  # likewise
_CHARACTERS = 1_000_000  # that it may write beyond four times those of the messages


class PromptFormat(Protocol):
    """Writes observations for a model.

    Attributes:
        name: as it is chosen by.
        frame: what stands around every observation.
        stop: strings that end a response, since the next turn begins with them.
    """

    name: str
    frame: ChatFrame
    stop: tuple[str, ...]

    def encode(self, observations: Sequence[str], task_ids: Sequence[int]) -> list[TokenIds]:
        """The token ids of every prompt."""
        ...


def encode_usable(
    written: PromptFormat, observations: Sequence[str], task_ids: Sequence[int], check: Callable[[TokenIds], None]
) -> list[TokenIds | ValueError]:
    """The token ids of every prompt, or why it cannot be one; a prompt that cannot costs itself only.

    Args:
        written: the format.
        observations: to be written.
        task_ids: of each.
        check: raises a ValueError of ids that no policy takes.
    """

    def usable(observation: str, task_id: int) -> TokenIds | ValueError:
        try:
            (ids,) = written.encode([observation], [task_id])
            check(ids)
        except ValueError as error:
            return error
        return ids

    try:
        encoded = written.encode(observations, task_ids)
        for ids in encoded:
            check(ids)
    except ValueError:
        return [usable(*one) for one in zip(observations, task_ids, strict=True)]
    return [*encoded]


class ChatPrompts(Stateful):
    """Messages in the tokenizer's chat template, open for the assistant's turn.

    What a message says cannot act as a control token: it is split into ordinary ones.

    Args:
        tokenizer: of the model.
        frame: system message, examples and the begun answer.
        template_options: given to the template, as in {"enable_thinking": False}.

    Raises:
        ValueError: if the tokenizer has no chat template, or one that takes too long or ignores the messages.
    """

    name = "chat"
    stop = ()
    hyperparameter_names = ("frame", "template", "template_options")

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        frame: ChatFrame | None = None,
        *,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not tokenizer.chat_template:
            raise ValueError(
                f"prompt chat needs a chat template, the tokenizer of {tokenizer.name_or_path!r} has none: choose "
                "paper or plain"
            )
        self._tokenizer = tokenizer
        self._controls = ControlTokens(tokenizer)
        self.template_options = dict(template_options or {})
        self.template = blake2b(str(tokenizer.chat_template).encode(), digest_size=8).hexdigest()
        self.frame = frame or ChatFrame()
        self._check_template()

    def encode(self, observations: Sequence[str], task_ids: Sequence[int]) -> list[TokenIds]:
        """See `PromptFormat`; no token is put before or after what the template writes.

        Raises:
            ValueError: if the template refuses a conversation.
        """
        texts = [
            self._rendered(observation, k, self.template_options)
            for observation, k in zip(observations, task_ids, strict=True)
        ]
        return self._controls.encode(texts)

    def _rendered(self, observation: str, task_id: int, options: Mapping[str, Any]) -> str:
        """A conversation in the template, with marks where its contents spell control tokens."""
        marked = [self._controls.marked(message) for message in self.frame.messages(observation, task_id)]
        asked, begun = without_begun(marked)
        messages = plain_messages(asked)
        try:
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)
        except Exception as error:  # a template is a program of the checkpoint's
            said = str(error) or repr(error)
            roles = ", ".join(message["role"] for message in messages)
            name = self._tokenizer.name_or_path
            raise ValueError(f"the chat template of {name!r} refuses messages of {roles}: {said:.300}") from error
        if len(text) > (most := _CHARACTERS + 4 * sum(len(message["content"]) for message in messages)):
            name = self._tokenizer.name_or_path
            raise ValueError(f"the chat template of {name!r} wrote {len(text):,} characters, expected at most {most:,}")
        return f"{text}{begun}{self._controls.unforged(self.frame.prefill)}"

    def _check_template(self) -> None:
        """Try the template on short messages, in a thread that can be given up, and that gets so much memory.

        Raises:
            ValueError: if it does not come to an end, takes too much, or writes the same whatever the messages.
        """
        too_much: list[BaseException] = []
        texts: dict[str, str] = {}  # by what differs from the first

        def try_out() -> None:
            options = self.template_options
            try:
                texts["nothing"] = self._rendered("1+1?", 0, options)
                texts["moment"] = self._rendered("1+1?", 0, options)
                texts["message"] = self._rendered("2+2?", 0, options)
                for name in options:
                    left = {other: value for other, value in options.items() if other != name}
                    texts[f"option {name}"] = self._rendered("1+1?", 0, left)
            except ValueError as error:  # which conversations it takes is seen where they are written
                too_much.extend([error] if isinstance(error.__cause__, MemoryError) else [])

        with address_space(_BYTES):
            thread = Thread(target=try_out, daemon=True)
            thread.start()
            thread.join(_SECONDS)
        if thread.is_alive() or too_much:
            amount = f"{_BYTES:,} bytes" if too_much else f"{_SECONDS:g} s"
            name = self._tokenizer.name_or_path
            raise ValueError(f"the chat template of {name!r} takes more than {amount} for a short message")
        self._judge(texts)

    def _judge(self, texts: Mapping[str, str]) -> None:
        """Say what the template does with the messages, the clock and the options, given what it wrote of each."""
        name, text = self._tokenizer.name_or_path, texts.get("nothing")
        same = {changed for changed, other in texts.items() if other == text}
        if "message" in same:
            raise ValueError(f"the chat template of {name!r} ignores the messages: all prompts would be {text!r:.80}")
        if texts and "moment" not in same:
            _LOG.warning(
                "the chat template of %r writes what differs from moment to moment, such as the time: rollouts of one "
                "problem have different prompts, and no run can be repeated",
                name,
            )
        elif "strftime_now" in str(self._tokenizer.chat_template):
            _LOG.warning("the chat template writes the current date or time: prompts, and so a run, differ with it")
        if unused := [one for one in self.template_options if f"option {one}" in same]:
            _LOG.warning("template_options %s: the prompts of %r are the same without", ", ".join(unused), name)


class PaperPrompts(Stateful):
    """The paper's frame for base models: the question as a turn of a dialogue, the answer begun.

    Args:
        tokenizer: of the model.
        frame: system message, examples and the begun answer.
    """

    name = "paper"
    stop = NEXT_TURNS
    hyperparameter_names = ("frame",)

    def __init__(self, tokenizer: PreTrainedTokenizerBase, frame: ChatFrame | None = None) -> None:
        self._controls = ControlTokens(tokenizer)
        self.frame = frame or ChatFrame()

    def encode(self, observations: Sequence[str], task_ids: Sequence[int]) -> list[TokenIds]:
        """See `PromptFormat`; a text that spells a control token is split into ordinary ones."""
        begun = self._controls.unforged(self.frame.prefill)
        pairs = zip(observations, task_ids, strict=True)
        asked = (Message("user", paper_text(self.frame, observation, k)) for observation, k in pairs)
        texts = [f"{self._controls.marked(message).content}{begun}" for message in asked]
        return self._controls.encode(texts, add_special_tokens=True)


class PlainPrompts(Stateful):
    """Observations as they stand; what is written like a control token is one, as in prompts rendered beforehand.

    Args:
        tokenizer: of the model.
        frame: of which only the begun answer can be used.

    Raises:
        ValueError: if the frame has a system message or examples.
    """

    name = "plain"
    stop = ()
    hyperparameter_names = ("frame",)

    def __init__(self, tokenizer: PreTrainedTokenizerBase, frame: ChatFrame | None = None) -> None:
        self._tokenizer = tokenizer
        self.frame = frame or ChatFrame()
        if self.frame.system or self.frame.examples:
            raise ValueError("a system message and examples need prompt chat or paper, got plain")

    def encode(self, observations: Sequence[str], task_ids: Sequence[int]) -> list[TokenIds]:
        """See `PromptFormat`."""
        return ids_of(self._tokenizer([f"{observation}{self.frame.prefill}" for observation in observations]))


FORMATS: Mapping[str, Callable[[PreTrainedTokenizerBase, ChatFrame], PromptFormat]] = {
    "chat": ChatPrompts,
    "paper": PaperPrompts,
    "plain": PlainPrompts,
}
"""Formats by name."""


def prompt_format(
    options: PromptOptions,
    tokenizer: PreTrainedTokenizerBase,
    examples: tuple[tuple[Message, ...], ...] = (),
) -> PromptFormat:
    """The format that options choose; by default chat where the tokenizer has a template, else plain.

    Args:
        options: which format, and what stands around the observations.
        tokenizer: of the model.
        examples: of each of the K tasks, the worked ones as earlier turns; () for none.

    Raises:
        ValueError: if the format does not go with the tokenizer or the other options.
    """
    options.check_prompts()
    name = options.prompt or ("chat" if tokenizer.chat_template else "plain")
    frame = replace(options.frame, examples=examples)
    if name == "chat":
        return ChatPrompts(tokenizer, frame, template_options=options.template_fields)
    if options.template_fields:
        raise ValueError(f"template_options need prompt chat, got {name}")
    return FORMATS[name](tokenizer, frame)
