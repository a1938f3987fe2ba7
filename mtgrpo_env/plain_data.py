"""Values as two files in which nothing but data can be: their structure in JSON, their numbers as bytes beside it.

Reading makes None, numbers, text, bytes, lists, tuples, sets, dicts, arrays, conversations and the records that are
registered here, and nothing else; it takes memory in proportion to the files. Equal values give equal bytes.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtgrpo_env.chat import ChatText, Message
from mtgrpo_env.types import Group, Problem, Rollout, Step

R = TypeVar("R")

_KINDS = "biufcSUmM"  # of arrays: numbers, text, times
_INT64 = np.iinfo(np.int64)
_RECORDS: dict[str, type[Any]] = {}


def plain_record(record: type[R]) -> type[R]:
    """Let a dataclass of plain data be written and read; for records that a policy hands its learner (`Step.extras`).

    Two records need two names.
    """
    known = _RECORDS.get(record.__name__, record)
    assert known.__module__ == record.__module__, f"two records are called {record.__name__}"
    _RECORDS[record.__name__] = record
    return record


for _record in (Problem, Step, Rollout, Group):
    plain_record(_record)


def dump(value: Any) -> tuple[str, bytes]:
    """A value as JSON, and the bytes of its arrays.

    Raises:
        ValueError: naming the type of what is no plain data.
    """
    writer = _Writer()
    try:
        structure = writer.write(value)
        text = json.dumps({"arrays": writer.table, "value": structure}, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise ValueError("expected data that ends, got a value within itself, or one nested too deeply") from None
    return text + "\n", writer.data


def load(text: str | bytes, data: bytes) -> Any:
    """The value that `dump` gave these for.

    Raises:
        ValueError: saying what is damaged, or no plain data.
    """
    try:
        saved = json.loads(text, parse_constant=_refuse_constant)
        return _Reader(saved["arrays"], data).read(saved["value"])
    except Exception as error:  # damaged data can raise anything
        raise ValueError(f"{type(error).__name__}: {error}") from error


class _Writer:
    """Values as JSON has them; what JSON lacks is an object of one entry, its kind. Equal arrays are kept once."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    @property
    def table(self) -> list[list[Any]]:
        """Type and shape of each array."""
        return [[kind, list(shape)] for kind, shape, _ in self._places]

    @property
    def data(self) -> bytes:
        """Of the arrays, one after the other."""
        return b"".join(data for _, _, data in self._places)

    def write(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is str:
            return value if _is_unicode(value) else {"text": _packed(value.encode(errors="surrogatepass"))}
        if kind in (bytes, bytearray):
            return {kind.__name__: _packed(value)}
        if kind is list:
            return [self.write(item) for item in value]
        if kind is tuple:
            return self._tuple(value)
        if kind in (set, frozenset):
            return {kind.__name__: [self.write(item) for item in sorted(value, key=repr)]}
        if kind is dict:
            return {"dict": [[self.write(key), self.write(item)] for key, item in value.items()]}
        if kind is ChatText:
            messages = [[self.write(message.role), self.write(message.content)] for message in value.messages]
            return {"chat": [self.write(str(value)), messages]}
        if isinstance(value, np.ndarray | np.generic):
            return {"scalar" if isinstance(value, np.generic) else "array": self._place(np.asarray(value))}
        if _RECORDS.get(kind.__name__) is kind:
            return {"record": [kind.__name__, {f.name: self.write(getattr(value, f.name)) for f in fields(value)}]}
        raise ValueError(f"expected numbers, text, arrays and records, got {kind.__module__}.{kind.__qualname__}")

    def _tuple(self, value: tuple[Any, ...]) -> Any:
        """Those of numbers, such as token ids and their log-probabilities, are long."""
        kinds = set(map(type, value))
        if kinds == {int} and _INT64.min <= min(value) <= max(value) <= _INT64.max:
            return {"numbers": self._place(np.array(value, dtype="<i8"))}
        if kinds == {float}:
            return {"numbers": self._place(np.array(value, dtype="<f8"))}
        return {"tuple": [self.write(item) for item in value]}

    def _place(self, array: NDArray[Any]) -> int:
        _check_kind(array.dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        return self._places.setdefault(key, len(self._places))


class _Reader:
    """The inverse of `_Writer`; what stands at one place of the table is made once."""

    def __init__(self, table: Sequence[Sequence[Any]], data: bytes) -> None:
        self._arrays: list[NDArray[Any]] = []
        start = 0
        for kind, shape in table:
            dtype = np.dtype(kind)
            _check_kind(dtype)
            end = start + math.prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or end > len(data):
                raise ValueError(f"expected {end} bytes of arrays at least, got {len(data)}")
            self._arrays.append(np.frombuffer(data[start:end], dtype).reshape(shape).copy())
            start = end
        if start != len(data):
            raise ValueError(f"expected {start} bytes of arrays, got {len(data)}")
        self._numbers: dict[int, tuple[Any, ...]] = {}

    def read(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list):
            return [self.read(item) for item in value]
        ((kind, content),) = value.items()
        if kind not in _READERS:
            raise ValueError(f"expected one of the kinds {sorted(_READERS)}, got {kind!r}")
        return _READERS[kind](self, content)

    def array(self, place: int) -> NDArray[Any]:
        if not 0 <= place < len(self._arrays):
            raise ValueError(f"expected one of {len(self._arrays)} arrays, got number {place}")
        return self._arrays[place]

    def numbers(self, place: int) -> tuple[Any, ...]:
        if place not in self._numbers:
            self._numbers[place] = tuple(self.array(place).tolist())
        return self._numbers[place]

    def record(self, content: tuple[str, Mapping[str, Any]]) -> Any:
        name, values = content
        if name not in _RECORDS:
            raise ValueError(f"expected a record of {sorted(_RECORDS)}, got {name!r:.80}")
        return _RECORDS[name](**{field: self.read(value) for field, value in values.items()})

    def chat(self, content: tuple[Any, Sequence[tuple[Any, Any]]]) -> ChatText:
        text, messages = self.read(content[0]), [Message(self.read(role), self.read(said)) for role, said in content[1]]
        if not all(isinstance(part, str) for part in (text, *(part for message in messages for part in message))):
            raise ValueError("expected a conversation of texts, got one of something else")
        return ChatText(text, messages)


_READERS: Mapping[str, Callable[[_Reader, Any], Any]] = {
    "float": lambda reader, content: float(content),
    "text": lambda reader, content: base64.b64decode(content, validate=True).decode(errors="surrogatepass"),
    "bytes": lambda reader, content: base64.b64decode(content, validate=True),
    "bytearray": lambda reader, content: bytearray(base64.b64decode(content, validate=True)),
    "set": lambda reader, content: set(map(reader.read, content)),
    "frozenset": lambda reader, content: frozenset(map(reader.read, content)),
    "tuple": lambda reader, content: tuple(map(reader.read, content)),
    "dict": lambda reader, content: {reader.read(key): reader.read(value) for key, value in content},
    "numbers": _Reader.numbers,
    "array": _Reader.array,
    "scalar": lambda reader, content: reader.array(content)[()],
    "chat": _Reader.chat,
    "record": _Reader.record,
}


def _check_kind(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise ValueError(f"expected numbers, text, arrays and records, got an array of {dtype}")


def _is_unicode(text: str) -> bool:
    """Whether it is text; half a character of two, which some tokenizers leave, would not come back from JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"expected a finite number, got {name}")
