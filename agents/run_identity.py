"""What a run is made of beside its options, by content: rows, starting model, tasks, and code of one's own.

A description names a version or a count and holds a digest; two are compared by their text.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.manifest import digest_of
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import TextEnv
from mtgrpo_env.version import VERSION

MadeOf = Mapping[str, Mapping[str, str]]
"""Descriptions by kind ("rows", "model", "tasks", "package") and name."""

_MODEL_FILE = re.compile(
    r"(pytorch_)?model.*\.(safetensors|bin|json)|(generation_|preprocessor_)?config\.json|tokenizer.*|vocab.*|merges.*"
    r"|special_tokens_map\.json|added_tokens\.json|chat_template.*|.*\.(jinja|model|tiktoken)"
)
_INSTALLED = frozenset({"mtgrpo_env", "gymnasium", "builtins", "typing", "abc"})  # not code of one's own


def made_of(config: RunConfig, suite: TaskSuite) -> dict[str, dict[str, str]]:
    """All but the starting model, which may be large: see `model_content`.

    Tasks have a version that is raised when they change. Code of one's own is the source of the modules that the
    classes of tasks, rewards and the method come from, where it can be had, and not of what those import.
    """
    envs = [suite.envs(k, 1)[0].unwrapped for k in range(suite.num_tasks)]
    tasks = {name: _described(env) for name, env in zip(suite.names, envs, strict=True)}
    named = [part.rpartition(":")[0].rpartition(":")[2] for part in (config.method, *config.rewards.values())]
    modules = {
        name: module_digest for name in sorted(filter(None, named)) if (module_digest := _source_of_module(name))
    }
    classes = {kind for env in envs for kind in type(env).__mro__}
    modules |= {name: digest for kind in classes for name, digest in _source_of_class(kind)}
    code = {f"code of {name}": digest for name, digest in sorted(modules.items())}
    return {"rows": suite.contents(), "tasks": {**tasks, **code}, "package": {"mtgrpo-env": VERSION}}


def model_content(folder: Path) -> dict[str, str]:
    """The weights, config and tokenizer of the model in a folder."""
    files = [path for path in folder.iterdir() if path.is_file() and _MODEL_FILE.fullmatch(path.name)]
    size = sum(file.stat().st_size for file in files)
    return {"starting model": f"{len(files)} files of {size} bytes (digest {digest_of(files)[:16]})"}


def refuse_changes(run: object, saved: MadeOf, own: MadeOf, *, accepted: Collection[str]) -> None:
    """Make sure that a run is resumed with what it was made of, of the kinds that are in `own`.

    Raises:
        ValueError: naming what changed, and how that is accepted.
    """
    changes: dict[str, list[str]] = {}
    for kind in [kind for kind in own if kind not in (*accepted, "package")]:
        was, now = saved.get(kind, {}), own[kind]
        changes[kind] = [
            f"{name} changed: {was.get(name, 'absent')} -> {now.get(name, 'absent')}"
            for name in dict.fromkeys((*was, *now))
            if was.get(name) != now.get(name)
        ]
    if found := [f"{kind}: {change}" for kind, of_kind in changes.items() for change in of_kind]:
        kinds = " ".join(kind for kind, of_kind in changes.items() if of_kind)
        raise ValueError(
            f"{run} holds another run ({'; '.join(found)}): choose another folder, or resume it with what has changed "
            f"by --accept-changes {kinds}"
        )


def _described(env: Any) -> str:
    level = re.sub(r" at 0x[0-9a-f]+", "", str(getattr(env, "level", None)))
    version = env.version if isinstance(env, TextEnv) else env.spec
    return f"{type(env).__qualname__} of version {version}, level {level}"


def _source_of_class(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """The module of a class, by name, and its digest; of a script, which does other things too, the class alone."""
    if kind.__module__.partition(".")[0] in _INSTALLED:
        return
    is_script = kind.__module__ == "__main__"
    digest = _source_of_script(kind) if is_script else _source_of_module(kind.__module__)
    if digest is not None:
        yield kind.__qualname__ if is_script else kind.__module__, digest


def _source_of_module(name: str) -> str | None:
    """A digest; the module may be imported in other processes only. None for our own, and where there is no source."""
    if name.partition(".")[0] in _INSTALLED:
        return None
    file = Path(_file_of(name))
    return _digest(file.read_bytes()) if file.suffix == ".py" and file.is_file() else None


def _file_of(module: str) -> str:
    if module in sys.modules:
        return getattr(sys.modules[module], "__file__", None) or ""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # it is not where this process looks
        return ""
    return spec.origin or "" if spec is not None else ""


def _source_of_script(kind: type[Any]) -> str | None:
    try:
        return _digest(inspect.getsource(kind).encode())
    except (OSError, TypeError):  # typed in, or made by code
        return None


def _digest(source: bytes) -> str:
    return f"digest {hashlib.sha256(source).hexdigest()[:16]}"
