"""AdamW's state on disk is found again by name, whoever wrote which part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mtgrpo_env.agents.neural import optimizer_state
from mtgrpo_env.agents.neural.optimizer_state import ParameterState, StateReader, StateWriter
from mtgrpo_env.manifest import DamagedError


def state(value: float, steps: int = 3) -> ParameterState:
    return ParameterState(torch.full((2,), value), torch.full((2,), value + 1), torch.full((2,), value + 2), steps)


def equal(one: ParameterState, other: ParameterState) -> bool:
    tensors = ((getattr(s, kind) for kind in ("weight", "exp_avg", "exp_avg_sq")) for s in (one, other))
    return one.steps == other.steps and all(map(torch.equal, *tensors))


def test_the_parts_of_several_writers_make_one_state(tmp_path: Path) -> None:
    for rank, names in enumerate((["a.weight", "c"], ["b"])):
        with StateWriter(tmp_path, rank) as writer:
            for name in names:
                writer.add(name, state(ord(name[0]), steps=rank))
    reader = StateReader(tmp_path, ["a.weight", "b", "c"])
    assert all(equal(reader[name], state(ord(name[0]), rank)) for name, rank in (("a.weight", 0), ("b", 1), ("c", 0)))
    assert reader.most_steps == 1


def test_a_writer_holds_no_more_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer_state, "_BYTES_IN_MEMORY", 1)
    with StateWriter(tmp_path, 0) as writer:
        writer.add("a", state(1))
        assert len(list(tmp_path.iterdir())) == 1
        writer.add("b", state(2))
    assert len(list(tmp_path.iterdir())) == 2
    assert equal(StateReader(tmp_path, "ab")["b"], state(2))


def test_a_state_is_float32_and_a_copy_of_its_own(tmp_path: Path) -> None:
    weight = torch.ones(2, dtype=torch.bfloat16)
    with StateWriter(tmp_path, 0) as writer:
        writer.add("a", ParameterState(weight, weight, weight, 1))
        weight.zero_()
    read = StateReader(tmp_path, "a")["a"]
    assert read.weight.dtype == torch.float32
    assert read.weight.tolist() == [1, 1]


def test_parameters_that_differ_are_named(tmp_path: Path) -> None:
    with StateWriter(tmp_path, 0) as writer:
        writer.add("old", state(0))
    with pytest.raises(ValueError, match=r"missing are \['new'\], unknown \['old'\]"):
        StateReader(tmp_path, ["new"])


def test_a_folder_without_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no optimiser state"):
        StateReader(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "weight/a",
            torch.ones(2, dtype=torch.float64),
            "expected float32 of shape (2,), got weight/a as torch.float64",
        ),
        ("exp_avg/a", torch.ones(3), "expected float32 of shape (2,), got exp_avg/a as torch.float32 of shape (3,)"),
        ("exp_avg_sq/a", torch.ones(1), "got exp_avg_sq/a as torch.float32 of shape (1,)"),
        ("weight/a", torch.tensor([1.0, torch.nan]), "expected finite numbers, got weight/a"),
        ("exp_avg_sq/a", torch.tensor([1.0, torch.inf]), "expected finite numbers, got exp_avg_sq/a"),
        ("steps/a", torch.tensor(-1), "expected steps/a as a count"),
        ("steps/a", torch.tensor(torch.nan), "expected steps/a as a count"),
        ("steps/a", torch.tensor([1, 2]), "expected steps/a as a count"),
    ],
)
def test_tensors_of_another_shape_or_kind_are_refused_by_name(
    tmp_path: Path, key: str, value: torch.Tensor, said: str
) -> None:
    tensors = {f"{kind}/a": torch.ones(2) for kind in ("weight", "exp_avg", "exp_avg_sq")}
    save_file({**tensors, "steps/a": torch.tensor(1), key: value}, tmp_path / "optimizer-00000-00000.safetensors")
    with pytest.raises(DamagedError) as refused:
        StateReader(tmp_path, ["a"])["a"]
    assert str(refused.value).startswith(f"{tmp_path}: ")
    assert said in str(refused.value)


def test_a_state_of_a_parameter_of_another_shape_is_not_spread_over_it(tmp_path: Path) -> None:
    with StateWriter(tmp_path, 0) as writer:
        writer.add("a", state(1))
    reader = StateReader(tmp_path, ["a"])
    assert equal(reader.shaped("a", (2,)), state(1))
    with pytest.raises(DamagedError, match=r"expected the state of a in shape \(3, 2\), got \(2,\)"):
        reader.shaped("a", (3, 2))
