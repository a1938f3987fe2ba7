#!/usr/bin/env bash
# The paper's settings on one GPU of 141 GB: one process trains by DeepSpeed and generates by vLLM.
#
#     bash examples/cluster/one_h200.sh --dry-run    # what it would do, and the memory it takes
#     bash examples/cluster/one_h200.sh              # the same command resumes a run that was stopped
set -euo pipefail
source examples/cluster/settings.sh

exec mtgrpo train --out "${OUT:-runs/qwen-one}" "${SETTINGS[@]}" --tokens-per-forward 16384 "$@"
