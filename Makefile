SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON3 ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
STAMP := $(VENV)/.installed
CONSTRAINTS := requirements/constraints.txt
# For example PIP_FLAGS="--index-url ..." for a build of torch without CUDA.
PIP_FLAGS ?=
PYTEST_FLAGS ?=
# Processes that share the tests: one a core, at most 8; PYTEST_WORKERS=0 for none.
PYTEST_WORKERS ?= auto
PYTEST_SHARED := -n $(PYTEST_WORKERS) --maxprocesses 8

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# XBINN_DATA set to nothing asks for the embedded data.
ifeq ($(origin XBINN_DATA),undefined)
DATA := $(shell CDPATH= cd ../shared/data 2>/dev/null && pwd)
ifneq ($(DATA),)
export XBINN_DATA := $(DATA)
endif
endif

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Make .venv and install xbinn with its tools (a few minutes, once)

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "xbinn needs Python 3.11 or newer; found: $$($(PYTHON3) --version 2>&1)." >&2; \
	  echo "Name another with: make PYTHON3=python3.12" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON3) -m venv --clear $(VENV) || { \
	  echo "python3 -m venv failed: on Debian and Ubuntu, apt install python3-venv." >&2; exit 1; }
	@echo "Installing xbinn and its tools into $(VENV): a few minutes, once."
	$(PYTHON) -m pip install --quiet $(PIP_FLAGS) -c $(CONSTRAINTS) \
	  editables hatch-vcs hatchling
	$(PYTHON) -m pip install --progress-bar off $(PIP_FLAGS) -c $(CONSTRAINTS) \
	  --no-build-isolation -e ".[dev]"
	@touch $@

.PHONY: demo
demo: $(STAMP) ## Fit and predict; maps, scores and data in demo_output/
	$(PYTHON) examples/demo.py --out demo_output

.PHONY: test
test: $(STAMP) ## Run the tests and the examples in docstrings
	$(PYTHON) -m pytest $(PYTEST_SHARED) --dist loadfile -m "not slow" --ignore=tests/faults \
	  --ignore=tests/wheel $(PYTEST_FLAGS)

.PHONY: test-faults
# Each of their processes would load compiled kernels, which takes longer than its job.
test-faults: export XBINN_KERNELS = eager
test-faults: $(STAMP) ## Kill, flip, tear and fill: what a tile job survives
	$(PYTHON) -m pytest $(PYTEST_SHARED) --dist worksteal -m "not slow" tests/faults $(PYTEST_FLAGS)

.PHONY: check
check: $(STAMP) ## All that must pass before a change lands
	$(MAKE) -j 2 --output-sync=target static docs demo-smoke dist-check
	$(MAKE) test
	$(MAKE) test-faults

.PHONY: check-all
check-all: static ## As check, with the slow tests
	$(PYTHON) -m pytest $(PYTEST_SHARED) --dist loadfile $(PYTEST_FLAGS)
	$(MAKE) docs demo-smoke

.PHONY: bench
bench: $(STAMP) ## Time physics, training, memory, start-up, costs, jobs and samplers against baselines
	$(PYTHON) -m benchmarks.physics
	$(PYTHON) -m benchmarks.physics --threads 2 --dtype float64
	$(PYTHON) -m benchmarks.stages
	$(PYTHON) -m benchmarks.training
	$(PYTHON) -m benchmarks.memory
	$(PYTHON) -m benchmarks.startup
	$(PYTHON) -m benchmarks.costs
	$(PYTHON) -m benchmarks.running
	$(PYTHON) -m benchmarks.proda

.PHONY: docs
docs: $(STAMP) ## Build the documentation into docs/_build/html
	$(PYTHON) -m sphinx -j auto -W --keep-going -q -b html docs docs/_build/html

.PHONY: static
static: $(STAMP) ## Formatting, lint, types, import contracts, spelling, docstrings
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell
	find xbinn -name '*.py' -print0 | xargs -0 $(BIN)/numpydoc lint

.PHONY: format
format: $(STAMP) ## Format the code and mend what ruff can mend
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

.PHONY: demo-smoke
demo-smoke: $(STAMP) ## The demo in small, as a test of the whole path
	$(PYTHON) examples/demo.py --smoke --out build/demo-smoke

.PHONY: dist
dist: $(STAMP) ## Build sdist and wheel into dist/; the version is that of the last tag
	$(PYTHON) -m build --no-isolation --outdir dist

.PHONY: dist-check
dist-check: $(STAMP) ## Build them, and make a first map with the wheel alone
	$(PYTHON) -m pytest tests/wheel $(PYTEST_FLAGS)

.PHONY: clean
clean: ## Remove what was built, .venv included
	rm -rf $(VENV) build dist demo_output first_map recovery_output proda_output docs/_build \
	  docs/reference/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .asv
