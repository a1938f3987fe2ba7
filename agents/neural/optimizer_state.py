"""AdamW's state on disk: by parameter, whatever engine, ZeRO stage or number of ranks wrote it or reads it.

A folder holds safetensors files, some from every rank; a parameter is whole and stands in one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mtgrpo_env.agents.checkpoint_files import OPTIMIZER_FILES
from mtgrpo_env.manifest import DamagedError

_BYTES_IN_MEMORY = 2**32  # a writer starts its next file once it holds this much


@dataclass(frozen=True, slots=True)
class ParameterState:
    """What AdamW knows of one parameter; the tensors have its shape and are float32.

    Attributes:
        weight: its value; with bf16 parameters this is the finer copy that steps are added to.
        exp_avg: mean of its gradients.
        exp_avg_sq: mean of their squares.
        steps: taken so far.
    """

    weight: torch.Tensor
    exp_avg: torch.Tensor
    exp_avg_sq: torch.Tensor
    steps: int


class StateWriter:
    """One rank's files; several ranks write into a folder at once.

    A file that cannot be written is complained of at the end of the block: until then ranks that read states
    together stay together.

    Args:
        folder: must exist, and hold no state yet.
        rank: of the writer.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._folder = Path(folder)
        self._rank = rank
        self._files = 0
        self._held: dict[str, torch.Tensor] = {}
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
            if self._failure is not None:
                raise self._failure

    def add(self, name: str, state: ParameterState) -> None:
        """Write the state of the parameter of this name."""
        for kind in ("weight", "exp_avg", "exp_avg_sq"):
            tensor = getattr(state, kind)
            self._held[f"{kind}/{name}"] = tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
        self._held[f"steps/{name}"] = torch.tensor(state.steps)
        if sum(tensor.nbytes for tensor in self._held.values()) > _BYTES_IN_MEMORY:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            try:
                save_file(self._held, self._folder / f"optimizer-{self._rank:05d}-{self._files:05d}.safetensors")
            except Exception as error:
                self._failure = error
            self._files += 1
            self._held = {}


class StateReader:
    """The states in a folder, read one at a time.

    Args:
        folder: that `StateWriter`s wrote.
        names: parameters whose state is wanted.

    Raises:
        FileNotFoundError: if there is no state.
        ValueError: naming a damaged file, or the parameters, if the folder holds those of others.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        paths = sorted(Path(folder).glob(OPTIMIZER_FILES))
        if not paths:
            raise FileNotFoundError(
                f"{folder} holds no optimiser state, it has no {OPTIMIZER_FILES}: with --keep-optimizer only the "
                "newest checkpoints have it"
            )
        self._folder = Path(folder)
        files = [_opened(path) for path in paths]
        self._file_of = {key: file for file in files for key in file.keys()}  # noqa: SIM118 - not a mapping
        saved, wanted = {key.partition("/")[2] for key in self._file_of}, set(names)
        if saved != wanted:
            missing, unknown = sorted(wanted - saved)[:3], sorted(saved - wanted)[:3]
            raise ValueError(
                f"expected the state of {len(wanted)} parameters, {folder} has that of {len(saved)}: "
                f"missing are {missing}, unknown {unknown} (three each at most)"
            )

    @property
    def most_steps(self) -> int:
        """Taken with any parameter; those without a gradient so far have none."""
        return max(self._steps(key.partition("/")[2]) for key in self._file_of if key.startswith("steps/"))

    def __getitem__(self, name: str) -> ParameterState:
        weight, exp_avg, exp_avg_sq = (
            self._file_of[f"{kind}/{name}"].get_tensor(f"{kind}/{name}") for kind in ("weight", "exp_avg", "exp_avg_sq")
        )
        for kind, tensor in (("weight", weight), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
            found = f"{kind}/{name} as {tensor.dtype} of shape {tuple(tensor.shape)}"
            if tensor.dtype != torch.float32 or tensor.shape != weight.shape:
                raise DamagedError(f"{self._folder}: expected float32 of shape {tuple(weight.shape)}, got {found}")
            if not torch.isfinite(tensor).all():
                raise DamagedError(f"{self._folder}: expected finite numbers, got {found} with others among them")
        return ParameterState(weight, exp_avg, exp_avg_sq, self._steps(name))

    def shaped(self, name: str, shape: Sequence[int]) -> ParameterState:
        """The state of a parameter of this shape.

        Raises:
            DamagedError: if it is that of one of another.
        """
        state = self[name]
        if state.weight.shape != tuple(shape):
            raise DamagedError(
                f"{self._folder}: expected the state of {name} in shape {tuple(shape)}, got {tuple(state.weight.shape)}"
            )
        return state

    def _steps(self, name: str) -> int:
        steps = self._file_of[f"steps/{name}"].get_tensor(f"steps/{name}")
        if steps.dtype != torch.int64 or steps.numel() != 1 or int(steps) < 0:
            raise DamagedError(f"{self._folder}: expected steps/{name} as a count, got {steps!r:.80}")
        return int(steps)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise DamagedError(f"{path} is damaged: expected safetensors: {error}") from None
