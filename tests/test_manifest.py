"""A folder that was changed after it was written is known by the file, what was expected and what was found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mtgrpo_env.manifest import (
    FORMAT,
    MANIFEST,
    DamagedError,
    read_manifest,
    read_object,
    verify,
    verify_claimed,
    write_manifest,
)

FILES = {"agent.json": b"{}", "model.safetensors": bytes(range(256)) * 40, "part/tokens.txt": b"a b", "empty": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path)
    return tmp_path


def test_a_folder_is_what_its_manifest_says(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert {name: size for name, (size, _) in manifest.files.items()} == {n: len(c) for n, c in FILES.items()}
    assert manifest.format == FORMAT
    verify(folder)


@pytest.mark.parametrize("name", [name for name, content in FILES.items() if content])
@pytest.mark.parametrize("at", [0, -1])
def test_a_flipped_bit_is_named(folder: Path, name: str, at: int) -> None:
    data = bytearray((folder / name).read_bytes())
    data[at] ^= 1
    (folder / name).write_bytes(data)
    digest = read_manifest(folder).files[name][1]
    with pytest.raises(DamagedError, match=rf"{name}: expected the SHA-256 {digest}, found [0-9a-f]{{64}}$"):
        verify(folder)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (cut, "expected 10240 bytes, found 10239"),
        (lengthen, "expected 10240 bytes, found 10241"),
        (Path.unlink, "expected a file of 10240 bytes, found none"),
    ],
)
def test_a_file_of_another_size_or_none_is_named(folder: Path, damage: Callable[[Path], None], complaint: str) -> None:
    damage(folder / "model.safetensors")
    with pytest.raises(DamagedError, match=f"model.safetensors: {complaint}"):
        verify(folder)


@pytest.mark.parametrize("name", ["model-2.safetensors", "part/optimizer.json"])
def test_a_file_more_that_would_be_read_is_damage(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    with pytest.raises(DamagedError, match=f"{name}: expected no such file"):
        verify(folder)


@pytest.mark.parametrize("name", ["notes.md", ".nfs0001", ".cache/x.json", "model.safetensors.bak"])
def test_a_file_more_that_nothing_reads_is_none_of_its_business(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    verify(folder)


def test_every_flipped_bit_of_the_manifest_is_damage_of_it_or_of_a_file(folder: Path) -> None:
    data = (folder / MANIFEST).read_bytes()
    for at in range(len(data)):
        for bit in (1, 4, 128):
            flipped = bytearray(data)
            flipped[at] ^= bit
            (folder / MANIFEST).write_bytes(flipped)
            if json.loads(data) == parsed(bytes(flipped)):  # blanks may change
                verify(folder)
                continue
            with pytest.raises(DamagedError, match=re.escape(str(folder))):
                verify(folder)


def parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 2}', "\x00", "[" * 100_000])
def test_an_odd_manifest_is_named(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        verify(folder)


def test_a_later_format_is_refused_and_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtgrpo_env.manifest.FORMAT", FORMAT + 1)
    write_manifest(folder)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=rf"has format {FORMAT + 1}, written by .*: expected {FORMAT}") as error:
        verify(folder)
    assert not isinstance(error.value, DamagedError)


def test_what_nobody_reads_need_not_be_digested_but_must_be_there(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(10_240))
    verify(folder, unread="model")
    cut(folder / "model.safetensors")
    with pytest.raises(DamagedError, match="expected 10240 bytes, found 10239"):
        verify(folder, unread="model")


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff", b"7", b"[" * 100_000])
def test_a_file_that_holds_no_object_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DamagedError, match=r"a\.json is damaged: expected"):
        read_object(tmp_path / "a.json")


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_folder_with_a_manifest_is_verified_whatever_is_claimed(folder: Path, is_claimed: bool) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[0] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(DamagedError, match=r"model\.safetensors: expected the SHA-256"):
        verify_claimed(folder, is_claimed=is_claimed)
    verify_claimed(folder, is_claimed=is_claimed, unread="model")


def test_a_lost_manifest_is_damage_and_one_that_never_was_is_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / MANIFEST).unlink()
    with pytest.raises(DamagedError, match="expected the manifest of the folder, found none"):
        verify_claimed(folder, is_claimed=True)
    assert not caplog.messages
    verify_claimed(folder, is_claimed=False)
    assert [message.endswith("its files are not verified") for message in caplog.messages] == [True]
