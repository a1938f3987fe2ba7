"""Put a mutant into the modules of a running process, in place: whoever holds a function or a class sees the change."""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

_PLAIN = (bool, int, float, str, tuple, type(None))  # other defaults are the same for every mutant


def functions_of(file: str) -> list[FunctionType]:
    """All functions and methods that a file has defined, wherever they are held."""
    functions = [found for found in gc.get_objects() if type(found) is FunctionType]
    return [function for function in functions if function.__code__.co_filename == file]


def replace_bodies(functions: Iterable[FunctionType], code: CodeType) -> None:
    """Give functions of a module their code in the mutant of it."""
    bodies = {(body.co_qualname, body.co_firstlineno): body for body in _codes(code)}
    for function in functions:
        old = function.__code__
        function.__code__ = bodies[old.co_qualname, old.co_firstlineno]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)


def replace_data(module: ModuleType, code: CodeType, data: Collection[str]) -> None:
    """Run the mutant's code apart, and give the data named and the defaults of functions to the module's own."""
    kept = ("__name__", "__package__", "__file__", "__spec__", "__loader__")
    mutant: dict[str, Any] = {name: getattr(module, name) for name in kept}
    exec(code, mutant)
    for name, new in mutant.items():
        old = vars(module).get(name)
        if name in data:
            _exchange(name, old, new)
        elif not name.startswith("__"):
            _renew(old, new, module.__name__, data)


def _exchange(name: str, old: Any, new: Any) -> None:
    """Data of a module, also where another has imported it."""
    for other in list(sys.modules.values()):
        if getattr(other, "__dict__", {}).get(name) is old:
            setattr(other, name, new)


def _renew(old: Any, new: Any, module: str, data: Collection[str]) -> None:
    """Give functions and classes of the module the defaults and data of their mutants."""
    if type(old) is not type(new) or new is old:
        return
    if isinstance(old, FunctionType | type):
        if old.__module__ != module:
            return
        if isinstance(old, FunctionType):
            _renew_function(old, new, module, data)
        else:
            _renew_class(old, new, module, data)
        return
    for name in ("__wrapped__", "__func__", "fget", "fset", *(["func"] if isinstance(old, cached_property) else [])):
        _renew(getattr(old, name, None), getattr(new, name, None), module, data)


def _renew_function(old: FunctionType, new: FunctionType, module: str, data: Collection[str]) -> None:
    _renew(vars(old).get("__wrapped__"), vars(new).get("__wrapped__"), module, data)
    if old.__defaults__ and new.__defaults__:
        old.__defaults__ = tuple(map(_default, old.__defaults__, new.__defaults__))
    if old.__kwdefaults__ and new.__kwdefaults__:
        old.__kwdefaults__ = {k: _default(old.__kwdefaults__.get(k), v) for k, v in new.__kwdefaults__.items()}


def _default(old: Any, new: Any) -> Any:
    return new if isinstance(new, _PLAIN) else old


def _renew_class(old: type, new: type, module: str, data: Collection[str]) -> None:
    renewed = {*data, "__dataclass_fields__"} if data else set()
    for name, value in vars(new).items():
        if name in renewed and not isinstance(value, MemberDescriptorType):
            setattr(old, name, value)
        else:
            _renew(vars(old).get(name), value, module, data)
