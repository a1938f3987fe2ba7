"""The extra that an error names is the smallest that brings the package."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mtgrpo_env.extras import _EXTRAS, extra_of

setuptools = pytest.importorskip("setuptools")

ROOT = Path(__file__).resolve().parents[1]
BROUGHT_BY_ANOTHER = {"datasets": "trl"}
IMPORTED_AS = {"pyyaml": "yaml"}


@pytest.fixture(scope="module")
def extras() -> dict[str, set[str]]:
    """The packages of each extra, by the names that Python imports them by."""
    declared: dict[str, list[str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **options: declared.update(options["extras_require"]))
        runpy.run_path(str(ROOT / "setup.py"))
    return {
        extra: {_imported(Requirement(line).name) for line in lines}
        for extra, lines in declared.items()
        if extra not in ("dev", "docs", "test-vllm")
    }


def _imported(distribution: str) -> str:
    return IMPORTED_AS.get(distribution, distribution.replace("-", "_"))


@pytest.mark.parametrize("package", _EXTRAS)
def test_the_smallest_extra_is_named(package: str, extras: dict[str, set[str]]) -> None:
    listed = BROUGHT_BY_ANOTHER.get(package, package)
    bringing = {extra: len(packages) for extra, packages in extras.items() if listed in packages}
    assert extra_of(package) == min(bringing, key=bringing.__getitem__)


def test_every_package_of_an_extra_is_known(extras: dict[str, set[str]]) -> None:
    assert set().union(*extras.values()) - {"numpy"} <= _EXTRAS.keys()
