"""How prompts are written for language models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mtgrpo_env.chat import ChatFrame
from mtgrpo_env.ranges import CountOrNone
from mtgrpo_env.spaces import is_sendable

PromptName = Literal["chat", "paper", "plain"]


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """How prompts are written for the model."""

    prompt: PromptName | None = None
    """In the model's chat template (chat), in the paper's frame for base models (paper), or as they stand (plain); by
    default chat where the tokenizer has a template, else plain."""
    system: str = ""
    """System message before every prompt that brings none of its own."""
    examples: CountOrNone = 0
    """Solved problems of the same task shown before every prompt, as earlier turns; they are not trained on."""
    prefill: str = ""
    """How every response begins; it is scored as part of the response."""
    template_options: str = "{}"
    """JSON object of arguments for the chat template, as in '{"enable_thinking": false}'."""

    @property
    def frame(self) -> ChatFrame:
        """What stands around every observation, but for the examples, which are a suite's."""
        return ChatFrame(system=self.system, prefill=self.prefill)

    @property
    def template_fields(self) -> Mapping[str, Any]:
        """The arguments for the chat template.

        Raises:
            ValueError: if they are no JSON object.
        """
        return json_object("template_options", self.template_options)

    def check_prompts(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: naming the option.
        """
        if self.prompt not in (None, *get_args(PromptName)):
            raise ValueError(f"prompt must be one of {list(get_args(PromptName))}, got {self.prompt!r}")
        for name in ("system", "prefill"):
            if not is_sendable(text := getattr(self, name)):
                raise ValueError(f"{name} must be text that UTF-8 can encode, got {text!r:.80}")
        _ = self.template_fields


def json_object(option: str, text: str) -> dict[str, Any]:
    """The JSON object that an option is given as.

    Raises:
        ValueError: naming the option, if it is none.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{option} must be a JSON object, got {text!r:.80}: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{option} must be a JSON object, got {text!r:.80}")
    if not is_sendable(json.dumps(fields, ensure_ascii=False)):
        raise ValueError(f"{option} must hold text that UTF-8 can encode, got {text!r:.80}")
    return fields


def check_stop_strings(stop: Sequence[str]) -> None:
    """Make sure that a response can hold each of them.

    Raises:
        ValueError: if one is empty or cannot be encoded as UTF-8, or they are one string.
    """
    if isinstance(stop, str) or not all(stop):
        raise ValueError(f"stop must be strings, none of them empty, got {stop!r}")
    if not all(map(is_sendable, stop)):
        raise ValueError(f"stop must be strings that UTF-8 can encode, got {stop!r}")
