"""Real vLLM engines on small models; without vLLM these tests are not collected (`make test-vllm` runs them)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
from mtgrpo_env.agents.llm.serving.client import VLLMServer
from mtgrpo_env.agents.llm.serving.options import VLLMOptions
from mtgrpo_env.agents.llm.serving.process import started_server
from mtgrpo_env.agents.llm.serving.weights import FolderWeightSync
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model

collect_ignore_glob = ["*.py"] if importlib.util.find_spec("vllm") is None else []

CONTEXT = 1024
MakeSized = Callable[..., PreTrainedModel]
Engine = VLLMRolloutEngine | VLLMServerEngine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What vLLM's own imports warn of is none of our business."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def eos_id(tokenizer: PreTrainedTokenizerBase) -> int:
    assert isinstance(tokenizer.eos_token_id, int)
    return tokenizer.eos_token_id


@pytest.fixture(scope="session")
def make_sized(tokenizer: PreTrainedTokenizerBase) -> MakeSized:
    """Makes models whose heads are as wide as vLLM's kernels for the CPU want them, 32; the head is tied."""

    def make(*, seed: int = 0) -> PreTrainedModel:
        size = TinyModelConfig(hidden_size=64, num_layers=2, num_heads=2, context=CONTEXT)
        model = tiny_model(tokenizer, size, seed=seed)
        model.config.tie_word_embeddings = True
        model.tie_weights()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(8)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def options(
    make_sized: MakeSized, tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory
) -> VLLMOptions:
    folder = tmp_path_factory.mktemp("model")
    make_sized().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return VLLMOptions(model=str(folder), dtype="float32", context=CONTEXT, cache_bytes=128 << 20, eager=True)


@pytest.fixture(scope="session")
def server(options: VLLMOptions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    with started_server(options, log=tmp_path_factory.mktemp("server") / "log.txt") as server:
        yield server


@pytest.fixture(scope="session")
def started(options: VLLMOptions, eos_id: int) -> VLLMRolloutEngine:
    """One for all tests: it cannot be taken down, and it can sleep, which frees nothing on the CPU."""
    return VLLMRolloutEngine(options, end_ids=[eos_id], sleep_level=1)


@pytest.fixture
def colocated(started: VLLMRolloutEngine) -> VLLMRolloutEngine:
    """In this process, and awake."""
    started.wake()
    return started


@pytest.fixture(scope="session")
def served(server: VLLMServer, eos_id: int) -> VLLMServerEngine:
    return VLLMServerEngine([server], end_ids=[eos_id], sync=FolderWeightSync([server]))


@pytest.fixture(params=["colocated", "served"])
def engine(request: pytest.FixtureRequest, make_sized: MakeSized) -> Engine:
    """Both engines in turn, with the weights of `make_sized()`."""
    engine: Engine = request.getfixturevalue(request.param)
    engine.load_weights(make_sized().named_parameters())
    return engine
