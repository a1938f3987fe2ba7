# Two commands do everything on a fresh machine: `make train` and `make test`.
# Python 3.11 or newer is all that must be there; everything else goes into VENV.
PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/main
TRAIN_ARGS ?=
BIN := $(VENV)/bin
# One thread per process: on a busy machine more threads of these tiny models only wait for each other.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
# DeepSpeed's operators are not needed; without this its setup looks for a compiler.
export DS_BUILD_OPS ?= 0

.PHONY: train test check format clean
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

train: $(VENV)/.train ## post-train a tiny language model by MT-GRPO; continues where it was stopped
	$(BIN)/mtgrpo train --out $(RUN) $(TRAIN_ARGS)

test: $(VENV)/.dev ## run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -q

check: $(VENV)/.dev ## check the types; pyright fetches itself from the npm registry
	$(BIN)/pyright --level warning

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## delete the environment and build products, keep the runs
	rm -rf $(VENV) build dist *.egg-info
