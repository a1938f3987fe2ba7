"""Python objects by name: "package.module:name", as options and registries write them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def named_object(name: str) -> Any:
    """The object called "package.module:name"; modules in the working directory are found too.

    Raises:
        ValueError: if there is no such object.
    """
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"expected 'package.module:name', got {name!r}: {error}") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is unknown: the nearest one that is known, if one is near.

    >>> did_you_mean("evalute", ["train", "evaluate"]), did_you_mean("x", ["train"])
    ("; did you mean 'evaluate'?", '')
    """
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def named_class(name: str, base: type[T]) -> type[T]:
    """The class called "package.module:Class".

    Raises:
        ValueError: if there is no such class, or it is no subclass of `base`.
    """
    found = named_object(name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{name} must be a subclass of {base.__name__}, got {found!r:.80}")
    return found
