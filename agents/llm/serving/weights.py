"""Bringing new weights to vLLM servers: through a folder anywhere, over NCCL between GPUs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file

from mtgrpo_env.agents.llm.engines import Weights
from mtgrpo_env.agents.llm.serving.client import VLLMServer

_BYTES_AT_ONCE = 1 << 30

Pairs = list[tuple[str, torch.Tensor]]


class WeightSync(Protocol):
    """A way to servers for whole parameters."""

    def push(self, weights: Weights) -> None:
        """Make all servers generate with these."""
        ...


class FolderWeightSync:
    """Writes safetensors files that the servers read.

    Args:
        servers: started with our worker extension, as `started_server` does.
        folder: seen by this process and by the servers under the same name; by default a temporary one.
    """

    def __init__(self, servers: Sequence[VLLMServer], *, folder: Path | None = None) -> None:
        self._servers = list(servers)
        self._folder = folder

    def push(self, weights: Weights) -> None:
        folder = Path(tempfile.mkdtemp(prefix="weights-", dir=self._folder))
        try:
            for i, pairs in enumerate(in_chunks(weights, _BYTES_AT_ONCE)):
                tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in pairs}
                save_file(tensors, folder / f"{i:05d}.safetensors")
            for server in self._servers:
                server.post("/collective_rpc", {"method": "load_folder", "args": [str(folder)]})
        finally:
            shutil.rmtree(folder)


class NCCLWeightSync:
    """Broadcasts from this process's GPU to the servers', by vLLM's weight transfer; not yet tried on GPUs.

    Args:
        servers: started with `--weight-transfer-config '{"backend": "nccl"}'`, as `started_server` does on GPUs.
        address: of this machine, as the servers reach it.
        port: first of as many free ports as there are servers.
    """

    def __init__(self, servers: Sequence[VLLMServer], *, address: str = "127.0.0.1", port: int = 29700) -> None:
        self._servers = list(servers)
        self._address, self._port = address, port
        self._groups: list[Any] = []

    def push(self, weights: Weights) -> None:
        if not self._groups:
            self._groups = [self._join(server, self._port + i) for i, server in enumerate(self._servers)]
        for server in self._servers:
            server.post("/start_weight_update")
        for pairs in in_chunks(weights, _BYTES_AT_ONCE):
            for server, group in zip(self._servers, self._groups, strict=True):
                _broadcast(server, group, pairs)
        for server in self._servers:
            server.post("/finish_weight_update")

    def _join(self, server: VLLMServer, port: int) -> Any:
        """A group of this process, rank 0, and the server's workers; both sides must enter at the same time."""
        from vllm.distributed.weight_transfer.nccl_common import (  # pyright: ignore[reportMissingImports]
            trainer_init,
        )

        size = 1 + server.get("/get_world_size")["world_size"]
        meeting = {"master_address": self._address, "master_port": port, "world_size": size}
        with ThreadPoolExecutor(1) as pool:
            body = {"init_info": {**meeting, "rank_offset": 1, "packed": False}}
            joined = pool.submit(server.post, "/init_weight_transfer_engine", body)
            group = trainer_init(meeting)
            joined.result()
        return group


def server_weight_sync(servers: Sequence[VLLMServer]) -> WeightSync:
    """NCCL where this process trains on a GPU, else a folder."""
    return NCCLWeightSync(servers) if torch.cuda.is_available() else FolderWeightSync(servers)


def in_chunks(weights: Weights, max_bytes: int) -> Iterator[Pairs]:
    """Runs of parameters that together have at most so many bytes, or of one that has more."""
    chunk: Pairs = []
    size = 0
    for name, tensor in weights:
        if chunk and size + tensor.nbytes > max_bytes:
            yield chunk
            chunk, size = [], 0
        chunk.append((name, tensor))
        size += tensor.nbytes
    if chunk:
        yield chunk


def _broadcast(server: VLLMServer, group: Any, pairs: Pairs) -> None:
    """Send tensors while the server receives them: the request returns when the last has come."""
    info = {
        "names": [name for name, _ in pairs],
        "dtype_names": [str(tensor.dtype).removeprefix("torch.") for _, tensor in pairs],
        "shapes": [list(tensor.shape) for _, tensor in pairs],
    }
    pool = ThreadPoolExecutor(1)
    try:
        received = pool.submit(server.post, "/update_weights", {"update_info": info})
        stream = torch.cuda.current_stream()
        sent = [tensor.detach().cuda().contiguous() for _, tensor in pairs]  # held until all have arrived
        for tensor in sent:
            group.broadcast(tensor, src=0, stream=stream)
        received.result()
    finally:
        pool.shutdown(wait=False)  # a server that failed in the middle never answers
