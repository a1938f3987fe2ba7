"""What tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import mtgrpo_env


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="write the transcripts of tests/golden anew")


@pytest.fixture(autouse=True, scope="module")
def environment_of_its_own() -> Iterator[None]:
    """What a process that trains tells its libraries by variables (LOCAL_RANK, say) is nothing for the next tests."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def paper_tasks() -> Path:
    """The folder of the paper's data: MTGRPO_PAPER_TASKS, else shared/data/paper_tasks beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "paper_tasks"
    folder = Path(os.environ.get("MTGRPO_PAPER_TASKS", beside))
    if not folder.is_dir():
        pytest.skip("the paper's data is not here: set MTGRPO_PAPER_TASKS to its folder")
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment variables of another process that imports what this one does, on one thread."""
    root = str(Path(mtgrpo_env.__file__).parents[1])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
