"""What tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import mtgrpo_env

TASKS = ("zebra-mini", "countdown-mini")  # of the small runs


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
def instruct_model() -> Path:
    """The folder of a real instruct model: MTGRPO_INSTRUCT_MODEL, else where `make real-model` keeps it."""
    beside = Path(__file__).resolve().parents[1] / "runs" / "smollm2-135m-instruct"
    folder = Path(os.environ.get("MTGRPO_INSTRUCT_MODEL", beside))
    if not (folder / "config.json").is_file():
        pytest.skip("the real model is not here: run `make real-model`, or set MTGRPO_INSTRUCT_MODEL to its folder")
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows the form of an answer to the tasks and no more, so that some of its guesses are right."""
    from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer
    from mtgrpo_env.envs.demonstrators import Demonstrators
    from mtgrpo_env.named_tasks import read_tasks

    folder = tmp_path_factory.mktemp("models") / "start"
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer, TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2, context=64), seed=0)
    demonstrate = Demonstrators(read_tasks(TASKS), dict.fromkeys(TASKS, 0.5))
    imitate(model, tokenizer, demonstrate, num_steps=60, batch_size=24, lr=2e-2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment variables of another process that imports what this one does, on one thread."""
    root = str(Path(mtgrpo_env.__file__).parents[1])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
