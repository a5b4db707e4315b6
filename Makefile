# Works with GNU make 3.81 (macOS) and newer. Needs only Python >= 3.10 with pip.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install --constraint constraints.txt --editable

.PHONY: help demo test lint format types bench clean

help:
	@echo "make demo    run the demonstration on the embedded model"
	@echo "make test    linter, type checker and all tests"
	@echo "make lint    linter, formatter and import contracts, check only"
	@echo "make format  fix what the linter and formatter can fix"
	@echo "make types   type checker"
	@echo "make bench   run the benchmarks"
	@echo "make clean   remove $(VENV), builds and caches"
	@echo
	@echo "What is needed is installed into $(VENV) first, once. To choose another Python: make test PYTHON=python3.12"
	@echo "On Linux, PyPI's torch brings CUDA (gigabytes). To do without:"
	@echo "    make test PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"

demo: $(VENV)/.demo
	$(BIN)/s1-hf demo

test: lint types
	@echo "==> Tests"
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n auto --maxprocesses 8

# Without ruff's cache: the order of imports follows from where our modules lie, which the cache does not watch.
lint: $(VENV)/.dev
	@echo "==> Linter"
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	@echo "==> Arrows between rooms (docs/architecture.md)"
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	@echo "==> Type checker"
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a step is repeated only when its inputs have changed or it did not finish.
$(VENV)/.demo: $(INPUTS) | $(VENV)/.pip
	@echo "==> Installing s1-hf with its extras cli, grade and plot into $(VENV)"
	$(PIP_INSTALL) ".[cli,grade,plot]"
	@touch $@

$(VENV)/.dev: $(INPUTS) | $(VENV)/.pip
	@echo "==> Installing s1-hf with its extras cli, data, eval, plot, train and the development tools into $(VENV)"
	$(PIP_INSTALL) ".[cli,data,eval,plot,train]" --group dev
	@touch $@

# Debian's python3 without python3-venv has no ensurepip; there pip installs pip. Dependency groups need pip >= 25.1.
$(VENV)/.pip:
	@echo "==> Creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("s1-hf needs Python 3.10 or newer, but $(PYTHON) is %d.%d. Name another: make ... PYTHON=python3.12" % sys.version_info[:2])'
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	    $(PYTHON) -m venv $(VENV); \
	else \
	    $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install pip; \
	fi
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@
