"""What a folder of files must hold: sizes and digests, written last, so that a damaged one is known by its files."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.version import VERSION

FORMAT = 2
"""Of checkpoints. Those of the first have no manifest, and kept their groups for replay in a pickle."""

MANIFEST = "manifest.json"

_LOG = logging.getLogger(__name__)
_THREADS = 4  # a digest takes a core about as much as a disk
_READ = frozenset({".safetensors", ".json", ".bin", ".npz", ".jinja", ".model", ".txt", ".py"})  # by what loads models


class DamagedError(ValueError):
    """A file is not what was written; says which, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands beside the files of a folder.

    Attributes:
        format: of the folder.
        package: version of this package that wrote it.
        files: size in bytes and SHA-256 of each, by its path in the folder.
    """

    format: int
    package: str
    files: Mapping[str, tuple[int, str]]


def write_manifest(folder: Path) -> None:
    """Write down the files of a folder; the last to be written into it."""
    names = _names_in(folder)
    digests = _digests([folder / name for name in names])
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": digest}
        for name, digest in zip(names, digests, strict=True)
    }
    content = {"format": FORMAT, "package": VERSION, "files": files}
    text = json.dumps({**content, "sha256": _digest_of_object(content)}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        FileNotFoundError: if it has none.
        DamagedError: if it is none.
        ValueError: if it is of a later format than this version reads.
    """
    saved = read_object(folder / MANIFEST)
    own = saved.pop("sha256", "none")
    if own != (digest := _digest_of_object(saved)):
        raise DamagedError(f"{folder / MANIFEST}: expected the SHA-256 {own} of itself, found {digest}")
    try:
        files = {str(name): (int(of["bytes"]), str(of["sha256"])) for name, of in saved["files"].items()}
        manifest = Manifest(int(saved["format"]), str(saved["package"]), files)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{folder / MANIFEST}: expected format, package and files, got {error!r:.80}") from None
    if manifest.format != FORMAT:
        raise ValueError(f"{folder} has format {manifest.format}, written by {manifest.package}: expected {FORMAT}")
    return manifest


def verify(folder: Path, *, unread: str = "") -> None:
    """Make sure that the files of a folder are those that were written.

    Args:
        folder: with a manifest.
        unread: how the names of large files begin whose content nobody is going to read; "" for none.

    Raises:
        FileNotFoundError: if it has no manifest.
        DamagedError: naming the first file that differs, what was expected and what was found.
    """
    wanted = read_manifest(folder).files
    for name, (size, _) in wanted.items():
        if not (folder / name).is_file():
            raise DamagedError(f"{folder / name}: expected a file of {size} bytes, found none")
        if (found := (folder / name).stat().st_size) != size:
            raise DamagedError(f"{folder / name}: expected {size} bytes, found {found}")
    if unknown := [name for name in _names_in(folder) if name not in wanted and Path(name).suffix in _READ]:
        raise DamagedError(f"{folder / unknown[0]}: expected no such file, found one that is not in its {MANIFEST}")
    read = [name for name in wanted if not (unread and name.startswith(unread))]
    for name, digest in zip(read, _digests([folder / name for name in read]), strict=True):
        if digest != wanted[name][1]:
            raise DamagedError(f"{folder / name}: expected the SHA-256 {wanted[name][1]}, found {digest}")


def verify_claimed(folder: Path, *, is_claimed: bool, unread: str = "") -> None:
    """`verify`, but for a folder of the first format, which has no manifest: it cannot be, and that is logged.

    Args:
        folder: of the files.
        is_claimed: whether another file says that it is of a later format.
        unread: as in `verify`.

    Raises:
        DamagedError: as in `verify`, or if the manifest is lost.
    """
    if (folder / MANIFEST).is_file():
        verify(folder, unread=unread)
    elif is_claimed:
        raise DamagedError(f"{folder / MANIFEST}: expected the manifest of the folder, found none")
    else:
        _LOG.warning("%s is of an earlier version, without a %s: its files are not verified", folder, MANIFEST)


def read_object(file: Path) -> dict[str, Any]:
    """The object in a file of JSON.

    Raises:
        FileNotFoundError: if it is not there.
        DamagedError: naming the file, if it holds anything else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{file} is damaged: expected JSON: {error}") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{file} is damaged: expected an object, got {found!r:.80}")
    return found


def digest_of(files: Iterable[Path]) -> str:
    """SHA-256 of the names and contents of some files, in the order of their paths."""
    ordered = sorted(set(files))
    lines = [f"{file.name} {digest}\n" for file, digest in zip(ordered, _digests(ordered), strict=True)]
    return hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest()


def _names_in(folder: Path) -> list[str]:
    """Of the files of a folder and those below it, but for hidden ones and the manifest."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(name for name in names if name != MANIFEST)


def _digest_of_object(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digests(files: Collection[Path]) -> list[str]:
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(_digest, files))


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
