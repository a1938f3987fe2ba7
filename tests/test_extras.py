"""The extra that an error names is the smallest that brings the package."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mtgrpo_env.extras import _EXTRAS, MissingPackageError, extra_of, imports_for, install_hint, require_package

setuptools = pytest.importorskip("setuptools")

ROOT = Path(__file__).resolve().parents[1]
BROUGHT_BY_ANOTHER = {"huggingface_hub": "datasets", "mpmath": "sympy", "safetensors": "transformers"}
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


def texts() -> dict[str, str]:
    """Every page and source of the repository that a user may read, by name."""
    folders = ("agents", "docs", "envs", "examples", "mtgrpo_env", "README.md", "CONTRIBUTING.md")
    files = [
        file for name in folders for file in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
    ]
    return {str(file.relative_to(ROOT)): file.read_text() for file in files if file.suffix in (".py", ".md")}


def test_every_extra_that_a_text_names_is_declared_and_this_package_is_on_no_index(extras: dict[str, set[str]]) -> None:
    for name, text in texts().items():
        assert not re.search(r"install\b[^\n]*mtgrpo-env", text), f"{name} installs this package from an index"
        for extra in re.findall(r"pip install (?:-c \S+ )?'\.\[([^]{]+)\]'", text):
            known = {*extras, "dev", "docs", "test-vllm"}
            assert set(extra.split(",")) <= known, f"{name} names the extra {extra!r}"


def test_one_module_words_what_to_install() -> None:
    worded = [
        name for name, text in texts().items() if name.endswith(".py") and re.search(r'"[^"\n]*pip install', text)
    ]
    assert worded == ["mtgrpo_env/extras.py"]


def test_a_missing_package_is_named_with_what_needs_it_and_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    expected = rf"^adapters needs peft: {re.escape(install_hint('peft'))}$"
    with pytest.raises(MissingPackageError, match=expected) as caught, imports_for("adapters"):
        import peft  # noqa: F401
    assert caught.value.name == "peft"
    with pytest.raises(MissingPackageError, match=expected):
        require_package("peft", user="adapters")


def test_an_error_of_a_package_that_is_there_or_of_no_extra_passes() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'numpy'"), imports_for("this"):
        from numpy import nothing  # noqa: F401  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ModuleNotFoundError, match="No module named 'antigravity_9'"), imports_for("this"):
        import antigravity_9  # noqa: F401  # pyright: ignore[reportMissingImports]
