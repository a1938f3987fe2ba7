"""What decides the responses of an agent, as texts that differ wherever the responses might."""

from __future__ import annotations

import hashlib
import pickle
import site
import sys
import sysconfig
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.kept_file import key_of
from mtgrpo_env.manifest import digest_of

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = _PACKAGE, _PACKAGE / "agents", _PACKAGE / "envs"  # links in a checkout, which are not followed


@cache
def package_code() -> str:
    """A hash of this package's own code, with what it makes of envs and models: Python and the packages in use."""
    names = ("numpy", "gymnasium", "torch", "transformers", "peft", "vllm", "reasoning-gym", "sympy")
    versions = [sys.version, *(f"{name} {_version(name)}" for name in names)]
    return key_of(versions, digest_of(file for folder in _FOLDERS for file in folder.rglob("*.py")))


def own_code() -> str:
    """A hash of the modules that are loaded from neither the standard library nor installed packages."""
    paths = sysconfig.get_paths()
    installed = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    elsewhere = tuple(map(Path, [*installed, *site.getsitepackages(), site.getusersitepackages(), _PACKAGE]))
    files = {Path(file) for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))}
    own = (file for file in files if file.is_file() and not any(file.is_relative_to(folder) for folder in elsewhere))
    return digest_of(own)


def checkpoint_files(source: str) -> str:
    """A hash of the files of a checkpoint, in its folder or where the hub's lie on this machine.

    Raises:
        OSError: if they are at neither place.
    """
    folder = Path(source)
    if not folder.is_dir():
        from transformers.utils.hub import cached_file
        from transformers.utils.peft_utils import find_adapter_config_file

        folder = Path(str(find_adapter_config_file(source) or cached_file(source, "config.json"))).parent
    return digest_of(file for file in folder.rglob("*") if file.is_file())


def pickled(thing: Any) -> str | None:
    """A hash of what pickle writes of an object; None of one that it cannot write.

    Classes and functions are written by name: their code is `own_code`.
    """
    digest = hashlib.sha256()
    try:
        pickle.Pickler(_Written(digest)).dump(thing)
    except Exception:  # whatever the object's own methods raise
        return None
    return digest.hexdigest()


class _Written:
    """A file that is only hashed."""

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return len(data)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
