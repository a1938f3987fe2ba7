#!/usr/bin/env bash
# Between torchrun and the command that it starts on each rank: a process sees its own GPU alone, as vLLM in it must.
set -euo pipefail
export CUDA_VISIBLE_DEVICES="$LOCAL_RANK"
export LOCAL_RANK=0
exec "$@"
