"""What the container files name exists. No image is built here: that needs Docker and an index of packages."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = ("Dockerfile", "Dockerfile.cuda")


def instructions(name: str) -> list[tuple[str, str]]:
    """Pairs of an instruction and its arguments, comments left out and lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest) for line in text.splitlines() if line for word, _, rest in [line.partition(" ")]]


def arguments(name: str, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(name) if word == instruction]


def pip_installs(name: str) -> list[list[str]]:
    """The words of each call of pip."""
    commands = [part for line in arguments(name, "RUN") for part in line.split("&&")]
    return [words[words.index("install") + 1 :] for c in commands if "pip" in (words := shlex.split(c))]


def setup_text() -> str:
    return (ROOT / "setup.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_pins_and_extras_exist(name: str) -> None:
    installs = pip_installs(name)
    assert installs
    for words in installs:
        pins = words[words.index("-c") + 1]
        assert (ROOT / Path(pins).relative_to("/src")).is_file()
        for extras in (found.group(1) for word in words if (found := re.fullmatch(r"/src\[(.+)\]", word))):
            assert [extra for extra in extras.split(",") if f'"{extra}": ' not in setup_text()] == []
    assert any(word.startswith("/src[") for words in installs for word in words)


def test_the_gpu_s_pins_were_resolved_for_the_python_of_its_image() -> None:
    (image,) = arguments("Dockerfile.cuda", "FROM")
    version = re.match(r"python:(3\.\d+)", image)
    assert version
    assert f"for Python {version.group(1)} on Linux" in (ROOT / "constraints-gpu.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_the_image_has_a_python_that_the_package_takes(name: str) -> None:
    (image,) = arguments(name, "FROM")
    minor = re.match(r"python:3\.(\d+)", image)
    least = re.search(r'python_requires=">=3\.(\d+)"', setup_text())
    assert minor
    assert least
    assert int(minor.group(1)) >= int(least.group(1))


@pytest.mark.parametrize("name", FILES)
def test_it_runs_the_command_as_somebody_who_is_not_root(name: str) -> None:
    words = [word for word, _ in instructions(name)]
    (user,), (entry,), (default,) = (arguments(name, word) for word in ("USER", "ENTRYPOINT", "CMD"))
    assert user not in ("root", "0")
    assert any(f"useradd --create-home --uid 1000 {user}" in line for line in arguments(name, "RUN"))
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    assert json.loads(entry) == ["mtgrpo"]
    assert '"mtgrpo=mtgrpo_env.cli:main"' in setup_text()
    line = [sys.executable, "-m", "mtgrpo_env", *json.loads(default)]
    assert "usage: mtgrpo" in subprocess.run(line, capture_output=True, text=True, check=True).stdout


def test_what_a_build_needs_is_not_left_out() -> None:
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    needed = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "mtgrpo_env", "agents", "envs", *FILES)
    needed += ("constraints.txt", "constraints-gpu.txt")
    assert all((ROOT / name).exists() for name in needed)
    assert not set(needed) & set(left_out)
    assert {".git", "runs"} <= set(left_out)


@pytest.mark.parametrize("name", FILES)
def test_no_place_that_packages_come_from_is_named(name: str) -> None:
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_the_page_names_both_files() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert "docker build -t mtgrpo-cpu ." in page
    assert all(name in page for name in FILES)
