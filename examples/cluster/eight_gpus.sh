#!/usr/bin/env bash
# The paper's settings on one node of eight GPUs of 80 GB: eight processes, each with a vLLM engine of its own.
#
# On SIGTERM torchrun passes the signal on and waits so long before it kills: give it longer than a step takes.
set -euo pipefail
source examples/cluster/settings.sh

exec torchrun --standalone --nproc-per-node 8 --shutdown-timeout "${GRACE:-900}" --no-python \
    bash examples/cluster/one_gpu_each.sh \
    mtgrpo train --out "${OUT:-runs/qwen-eight}" "${SETTINGS[@]}" --tokens-per-forward 24576 "$@"
