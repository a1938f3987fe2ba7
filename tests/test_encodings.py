"""Files are written and read in UTF-8, whatever the locale of the machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    file for folder in ("agents", "envs", "mtgrpo_env", "examples") for file in (ROOT / folder).rglob("*.py")
)


def unspecified(source: str) -> Iterator[int]:
    """Lines of calls that open a text file in the encoding of the locale, and of pipes that are read as text in it."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        named = {keyword.arg for keyword in call.keywords}
        function, name, module = call.func, "", ""
        is_method = isinstance(function, ast.Attribute)
        if isinstance(function, ast.Attribute):
            name, module = function.attr, function.value.id if isinstance(function.value, ast.Name) else ""
        elif isinstance(function, ast.Name):
            name = function.id
        if "encoding" in named or module in ("os", "Image", "dbm"):
            continue
        if name in ("run", "Popen", "check_output"):
            is_text = bool(named & {"text", "universal_newlines"})
        elif name == "open":
            is_text = not _is_binary(call, is_method=is_method)
        else:
            is_text = name in ("read_text", "write_text") and len(call.args) <= (name == "write_text")
        if is_text:
            yield call.lineno


def _is_binary(call: ast.Call, *, is_method: bool) -> bool:
    modes = [*call.args[0 if is_method else 1 :][:1], *(key.value for key in call.keywords if key.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_text_file_and_pipe_has_its_encoding_named(file: Path) -> None:
    assert list(unspecified(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("line", "is_fault"),
    [
        ('open("a")', True),
        ('open("a", "w")', True),
        ('open("a", "rb")', False),
        ('open("a", mode="wb")', False),
        ('open("a", encoding="utf-8")', False),
        ("path.open()", True),
        ('path.open("a")', True),
        ('path.open("ab")', False),
        ("path.read_text()", True),
        ('path.read_text("utf-8")', False),
        ('path.write_text("a")', True),
        ('path.write_text("a", "utf-8")', False),
        ("subprocess.run(line, text=True)", True),
        ("subprocess.run(line)", False),
        ("os.open(path, os.O_RDONLY)", False),
    ],
)
def test_such_calls_are_found(line: str, *, is_fault: bool) -> None:
    assert bool(list(unspecified(line))) == is_fault
