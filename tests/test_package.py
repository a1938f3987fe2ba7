"""The wheel: plain folders, everything that is needed, nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy of what git would keep, so that nothing that merely lies around gets in or helps."""
    pytest.importorskip("setuptools")
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs git and a checkout: the wheel is built from the files that git keeps")
    source = tmp_path_factory.mktemp("source")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    line = [*build, "--disable-pip-version-check", "--wheel-dir", "dist", "."]
    done = subprocess.run(line, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = (source / "dist").glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_every_module_is_in_the_wheel_as_a_plain_file_below_the_package(wheel: zipfile.ZipFile) -> None:
    links = ("mtgrpo_env/agents", "mtgrpo_env/envs")
    paths = [path for folder in ("mtgrpo_env", *links) for path in (ROOT / folder).resolve().rglob("*.py")]
    relative = {path.relative_to(ROOT).as_posix() for path in paths}
    expected = {name if name.startswith("mtgrpo_env/") else f"mtgrpo_env/{name}" for name in relative}
    assert {"mtgrpo_env/agents/mtgrpo.py", "mtgrpo_env/envs/countdown.py", "mtgrpo_env/cli/train.py"} <= expected
    modules = {name for name in wheel.namelist() if name.endswith(".py")}
    assert modules == expected
    assert not any(info.external_attr >> 28 == 0o12 for info in wheel.infolist()), "links do not survive installation"


def test_the_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert "mtgrpo_env/py.typed" in wheel.namelist()


def test_nothing_but_the_package_is_installed_at_the_top(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"mtgrpo_env"}
    assert len(top) == 2


def test_no_test_is_shipped(wheel: zipfile.ZipFile) -> None:
    assert not [name for name in wheel.namelist() if "test" in name.lower()]


def test_the_command_is_installed_and_the_core_needs_two_packages(wheel: zipfile.ZipFile, metadata: Message) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "mtgrpo = mtgrpo_env.cli:main" in wheel.read(name).decode()
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.split(">")[0] for line in required) == ["gymnasium", "numpy"]
    assert set(metadata.get_all("Provides-Extra", [])) >= {"cli", "train", "dev"}


def test_the_license_and_the_readme_travel_along(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert "Apache-2.0" in (metadata["License-Expression"], metadata["License"])
    assert any(name.endswith("LICENSE") for name in wheel.namelist())
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_the_package_runs_from_the_wheel_alone(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = "import gymnasium, mtgrpo_env; print(mtgrpo_env.__file__); gymnasium.make('MTReason-v0').reset(seed=0)"
    line = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(line, cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parents[1] == tmp_path
