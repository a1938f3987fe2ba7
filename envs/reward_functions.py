"""Reward functions of one's own: three signatures, told apart by the names of their parameters.

| called like | parameters |
|---|---|
| ours | `completion`; any of `prompt`, `ground_truth`; any column of the row |
| verl's `compute_score` | `solution_str`; any of `data_source`, `ground_truth`, `extra_info` |
| TRL's `reward_funcs`, a batch at a time | `completions`; any of `prompts`; any column of the rows, as a list |

A function is given the parameters it has, and with `**kwargs` all there are. It may be async.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from mtgrpo_env.envs.row import Row
from mtgrpo_env.named_objects import named_object

Arguments = Mapping[str, Any]
"""Of one response, by the names of the function's parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardFunction:
    """A function, and how it is called.

    Attributes:
        name: "package.module:function".
        function: the function itself.
        offer: what it can be given for a response to a row.
        is_batch: it takes lists, an entry for each response, and returns one.
        is_async: it returns an awaitable.
        parameters: the names of its own, and whether each has a default.
        takes_all: it has `**kwargs`.
    """

    name: str
    function: Callable[..., Any] = field(repr=False)
    offer: Callable[[Row, str], dict[str, Any]] = field(repr=False)
    is_batch: bool
    is_async: bool
    parameters: Mapping[str, bool]
    takes_all: bool

    @classmethod
    def of(cls, function: Callable[..., Any], *, name: str = "") -> Self:
        """Read a function's signature.

        Raises:
            ValueError: if it is none of the three.
        """
        bare = _unwrapped(function)
        name = name or f"{bare.__module__}:{getattr(bare, '__qualname__', type(bare).__name__)}"
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError) as error:
            raise ValueError(f"reward {name} must be a function of named parameters, got {function!r:.80}") from error
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        named = {
            parameter.name: parameter.default is not parameter.empty
            for parameter in signature.parameters.values()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        takes_all = inspect.Parameter.VAR_KEYWORD in kinds
        key = next((key for key in _OFFERS if key in named), "completion" if takes_all else None)
        if key is None or inspect.Parameter.POSITIONAL_ONLY in kinds:
            raise ValueError(
                f"reward {name} must have a parameter 'completion' (ours), 'solution_str' (verl's) or 'completions' "
                f"(TRL's, with lists), and be callable by name; got {name.rpartition(':')[2]}{signature}"
            )
        return cls(
            name=name,
            function=function,
            offer=_OFFERS[key],
            is_batch=key == "completions",
            is_async=_is_async(bare),
            parameters=named,
            takes_all=takes_all,
        )

    @classmethod
    def named(cls, name: str) -> Self:
        """The function called "package.module:name".

        Raises:
            ValueError: if there is no such function, or its signature is none of the three.
        """
        found = named_object(name)
        if not callable(found):
            raise ValueError(f"reward {name} must be a function, got {found!r:.80}")
        return cls.of(found, name=name)

    def arguments(self, row: Row, response: str) -> Arguments:
        """What the function is given for one response.

        Raises:
            ValueError: naming the row and the parameter that no column fills.
        """
        offered = self.offer(row, response)
        for name, has_default in self.parameters.items():
            if name not in offered and not has_default and not (self.is_batch and name in _OF_THE_TRAINER):
                raise ValueError(
                    f"{row.source}: the reward {self.name} needs {name!r}, which must be a column of the row; "
                    f"it can have {sorted(offered)}"
                )
        return offered if self.takes_all else {name: offered[name] for name in self.parameters if name in offered}

    def call(self, of_responses: Sequence[Arguments]) -> Any:
        """What the function returns for a response or, of a batch function, for several; it may be an awaitable."""
        try:
            return self._call(of_responses)
        except (SystemExit, GeneratorExit) as error:  # it would end the run as if all were well
            raise RuntimeError(f"the function ended the process ({error!r})") from error

    def _call(self, of_responses: Sequence[Arguments]) -> Any:
        of_responses = copy.deepcopy(of_responses)  # a function may change what it is given, but not the row
        if not self.is_batch:
            (arguments,) = of_responses
            return self.function(**arguments)
        names = dict.fromkeys(name for arguments in of_responses for name in arguments)
        lists = {name: [arguments.get(name) for arguments in of_responses] for name in names}
        return self.function(**{name: _OF_THE_TRAINER[name] for name in self._of_the_trainer}, **lists)

    def scores(self, returned: Any, count: int) -> list[Any]:
        """What was returned, a value for each of `count` responses.

        Raises:
            ValueError: if it is no list of that length.
        """
        if not self.is_batch:
            return [returned]
        if isinstance(returned, str | Mapping) or not hasattr(returned, "__len__") or len(returned) != count:
            raise ValueError(f"expected a list of {count} rewards, one for each completion, got {returned!r:.80}")
        return list(returned)

    @property
    def _of_the_trainer(self) -> list[str]:
        return [name for name in _OF_THE_TRAINER if self.parameters.get(name) is False]


def as_score(value: Any) -> float | None:
    """The score in what a reward function returns; None, which is "not scored", stays None.

    A number of Python, numpy or torch, or a mapping that holds one as "score".

    >>> as_score({"score": True, "why": "it rhymes"})
    1.0

    Raises:
        ValueError: if it is none of these, or not finite.
    """
    score = value.get("score", value) if isinstance(value, Mapping) else value
    if score is None:
        return None
    if hasattr(score, "item"):
        try:
            score = score.item()  # of numpy and torch
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"expected one number as the reward, got {value!r:.80}") from error
    if not isinstance(score, int | float):
        raise ValueError(f"expected a number, None, or a dict with a 'score', got {type(value).__name__} {value!r:.80}")
    try:
        number = float(score)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a finite reward, got {score!r:.80}")
    return number


def _ours(row: Row, response: str) -> dict[str, Any]:
    return {**row.columns, "prompt": row.prompt, "completion": response, "ground_truth": row.ground_truth}


def _verls(row: Row, response: str) -> dict[str, Any]:
    model = row.columns.get("reward_model")
    truth = model.get("ground_truth") if isinstance(model, Mapping) else row.columns.get("ground_truth")
    return {
        "data_source": row.columns.get("data_source") or row.task,
        "solution_str": response,
        "ground_truth": row.ground_truth if truth is None else truth,
        "extra_info": row.columns.get("extra_info") or {},
    }


def _trls(row: Row, response: str) -> dict[str, Any]:
    """Chats as messages where the row's prompt is one, as TRL does; the trainer's own services do nothing."""
    columns = {name: value for name, value in row.columns.items() if name not in ("prompt", "completion")}
    prompt = row.columns.get("prompt")
    is_chat = isinstance(prompt, list)
    return {
        "ground_truth": row.ground_truth,
        **columns,
        "prompts": prompt if is_chat else row.prompt,
        "completions": [{"role": "assistant", "content": response}] if is_chat else response,
    }


_OFFERS: Mapping[str, Callable[[Row, str], dict[str, Any]]] = {
    "completions": _trls,
    "solution_str": _verls,
    "completion": _ours,
}


def _ignore(*_: Any, **__: Any) -> None:
    """Stand in for a service of TRL's trainer."""


_OF_THE_TRAINER: Mapping[str, Any] = {"trainer_state": None, "log_extra": _ignore, "log_metric": _ignore}


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object, which may be a coroutine function
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
