"""A doctest that stands between the paragraphs of a docstring is shown as code."""

import re
from typing import Any

from griffe import Extension, Object

_DOCTEST = re.compile(r"(?:^>>> .*\n?)(?:^\S.*\n?)*", flags=re.MULTILINE)


class DoctestBlocks(Extension):
    """Fences the doctests of every docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            fenced = _DOCTEST.sub(lambda lines: f"```pycon\n{lines.group().rstrip()}\n```\n", obj.docstring.value)
            obj.docstring.value = fenced
