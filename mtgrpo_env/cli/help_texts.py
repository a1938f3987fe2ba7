"""Help of options in whole paragraphs: tyro breaks the lines of a docstring where the source does."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import docstring_parser
from tyro.conf import arg


@cache  # a class is changed once
def reflow_help(options: type[Any]) -> None:
    """Give every option of a dataclass, and of the groups in it, its docstring as one paragraph of help."""
    texts: dict[str, str] = {}
    for kind in reversed(options.__mro__):
        if is_dataclass(kind):
            texts |= {doc.arg_name: doc.description or "" for doc in docstring_parser.parse_from_object(kind).params}
    hints = get_type_hints(options, include_extras=True)
    for field in fields(options):
        hint = hints[field.name]
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if is_dataclass(bare) and isinstance(bare, type):
            reflow_help(bare)
        elif (text := texts.get(field.name)) and "\n" in text:
            options.__annotations__[field.name] = Annotated[hint, arg(help=" ".join(text.split()))]
