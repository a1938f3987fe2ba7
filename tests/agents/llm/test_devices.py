"""Devices by name: the accelerator that is there, and no other."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import pytest
import torch

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.devices import AUTO, device_of
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.experiments.agent_options import AgentOptions
from mtgrpo_env.experiments.benchmark import benchmark


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has them, as torch says it."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any accelerator."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)


@pytest.mark.usefixtures("two_gpus")
def test_auto_is_the_accelerator_and_each_may_be_named() -> None:
    assert device_of("auto") == torch.device("cuda")
    assert [device_of(name) for name in ("cpu", "cuda", "cuda:1")] == [*map(torch.device, ("cpu", "cuda", "cuda:1"))]
    with pytest.raises(ValueError, match=r"\['cpu', 'cuda', 'cuda:0', 'cuda:1'\], got 'cuda:2'"):
        device_of("cuda:2")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "gpu", "meta", ""])
def test_without_an_accelerator_auto_is_the_cpu_and_another_is_refused(name: str) -> None:
    assert device_of("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=rf"device must be auto or one that torch finds .*\['cpu'\], got '{name}'"):
        device_of(name)


@pytest.mark.usefixtures("no_gpu")
def test_every_entry_point_refuses_it_before_anything_is_built(model_folder: Path, tmp_path: Path) -> None:
    for make in (
        lambda: Trainer(model_folder, tasks="countdown-mini", out=tmp_path / "run", config=TrainConfig(device="cuda")),
        lambda: benchmark(["random", str(model_folder)], "countdown-mini", problems=1, device="cuda"),
        lambda: LanguageModelPolicy.from_pretrained("none", decoding=Decoding(), device="cuda"),
    ):
        with pytest.raises(ValueError, match="got 'cuda'"):
            make()
    assert not list(tmp_path.iterdir())


def test_the_default_is_auto_wherever_there_is_a_device() -> None:
    assert TrainConfig().device == AgentOptions().device == AUTO
    for call in (benchmark, LanguageModelPolicy.from_pretrained):
        assert signature(call).parameters["device"].default == AUTO
