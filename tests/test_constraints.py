"""Pins of versions: what is declared holds what was tested and what was resolved."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
FILES = ("constraints.txt", "constraints-gpu.txt")


def pins(name: str) -> dict[str, Version]:
    """Versions by normalised package name."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.partition(";")[0].split("==") for line in lines]
    return {package.strip().lower().replace("_", "-"): Version(version.strip()) for package, version in pairs}


@pytest.fixture(scope="module")
def declared() -> dict[str, list[Requirement]]:
    """Requirements by extra, and of the package itself under ""; as `setup.py` passes them on."""
    code = (
        "import setuptools, json, runpy; setuptools.setup = lambda **given: print(json.dumps("
        "{'': given['install_requires'], **given['extras_require']})); runpy.run_path('setup.py')"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {extra: [Requirement(line) for line in lines] for extra, lines in json.loads(printed).items()}


@pytest.mark.parametrize("name", FILES)
def test_every_pin_lies_in_the_range_that_is_declared(name: str, declared: dict[str, list[Requirement]]) -> None:
    versions = pins(name)
    outside = [
        f"{extra}: {requirement}, pinned {versions[requirement.name]}"
        for extra, requirements in declared.items()
        for requirement in requirements
        if requirement.name in versions and versions[requirement.name] not in requirement.specifier
    ]
    assert not outside


@pytest.mark.parametrize(
    ("name", "extras"),
    [(FILES[0], ("", "train", "deepspeed", "trl", "endpoints", "docs")), (FILES[1], ("", "gpu"))],
)
def test_all_that_an_extra_names_is_pinned_for_it(
    name: str, extras: tuple[str, ...], declared: dict[str, list[Requirement]]
) -> None:
    wanted = {requirement.name for extra in extras for requirement in declared[extra]}
    assert not wanted - pins(name).keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_pins_and_comments_and_no_place_that_packages_come_from(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert not [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.+!-]+( ; .*)?", line)]
    assert not [line for line in lines if "://" in line]
