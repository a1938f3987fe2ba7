"""The wheel and the sdist: plain folders, everything that is needed, nothing else, one version everywhere.

Both are built here, or taken from the folder that the environment names as DIST (`make release-check`).
"""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


DIST = Path(os.environ["DIST"]).resolve() if "DIST" in os.environ else None
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
BUILD_WHEEL = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index"]


def run(line: Sequence[str | Path], folder: Path) -> str:
    """What a command prints, once it is certain that it succeeded."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DIST")}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def only(folder: Path, pattern: str) -> Path:
    (file,) = folder.glob(pattern)
    return file


def modules(wheel: zipfile.ZipFile) -> dict[str, bytes]:
    return {name: wheel.read(name) for name in wheel.namelist() if name.endswith(".py")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would keep, so that nothing that merely lies around gets in or helps."""
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
    return source


@pytest.fixture(scope="module")
def sdist(source: Path) -> Path:
    pytest.importorskip("build", reason="the sdist is built by `build`, which the extra dev brings")
    if DIST is not None:
        return only(DIST, "*.tar.gz")
    run([sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", "dist"], source)
    return only(source / "dist", "*.tar.gz")


@pytest.fixture(scope="module")
def wheel_file(source: Path) -> Path:
    if DIST is not None:
        return only(DIST, "*.whl")
    run([*BUILD_WHEEL, "--wheel-dir", "dist", "."], source)
    return only(source / "dist", "*.whl")


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel_file)


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
    assert modules(wheel).keys() == expected
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


def test_the_sdist_holds_plain_folders_and_all_that_a_wheel_needs(
    sdist: Path, wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        assert not [member.name for member in archive.getmembers() if member.issym() or member.islnk()]
    assert {"LICENSE", "README.md", "setup.py", "pyproject.toml"} <= names
    run([*BUILD_WHEEL, "--wheel-dir", tmp_path, sdist], tmp_path)
    of_sdist = zipfile.ZipFile(only(tmp_path, "*.whl"))
    assert modules(of_sdist) == modules(wheel)


def test_a_new_environment_runs_the_installed_wheel(wheel_file: Path, metadata: Message, tmp_path: Path) -> None:
    pytest.importorskip("tyro")
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    run([*PIP, "--python", binaries / "python", "install", "--no-index", "--no-deps", wheel_file], tmp_path)
    # What the package needs comes from this environment, behind the new one's own; its editable installs do not.
    (only(folder, "**/site-packages") / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    code = (
        "import gymnasium, mtgrpo_env; gymnasium.make('MTReason-v0').reset(seed=0);"
        "print(mtgrpo_env.__version__, mtgrpo_env.__file__)"
    )
    version, file = run([binaries / "python", "-W", "ignore", "-c", code], tmp_path).split()
    assert version == metadata["Version"]
    assert Path(file).is_relative_to(folder)
    assert "--problems" in run([binaries / "mtgrpo", "tasks", "--help"], tmp_path)


def test_changelog_citation_and_package_name_the_same_version(metadata: Message) -> None:
    changelog, citation = ((ROOT / name).read_text("utf-8") for name in ("CHANGELOG.md", "CITATION.cff"))
    released = re.findall(r"^## \[(\d.*?)\] - (\d{4}-\d\d-\d\d)$", changelog, flags=re.MULTILINE)
    cited = re.findall(r'^(?:version|date-released): "?([^"\n]+)', citation, flags=re.MULTILINE)
    assert released[0] == tuple(cited)
    assert released[0][0] == metadata["Version"]


def test_the_citation_has_what_its_format_demands() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert all({"family-names", "given-names"} <= author.keys() for author in paper["authors"])
    assert "2602.05547" in paper["url"]
