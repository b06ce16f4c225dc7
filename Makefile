# Everything happens in .venv, at the versions of constraints.txt. `make help` lists the targets.

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c 'import venv, ensurepip' >/dev/null 2>&1 && { echo $$p; exit; }; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
SPEC ?= specs/digits.yaml
ARGS ?=

RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long lint format bench index schema clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# The stamps are newer than what they were made from, so a second call does nothing.
$(RUNTIME): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(DEV): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(DEV)  ## make .venv with all that development needs

run: $(RUNTIME)  ## train specs/digits.yaml (SPEC=... for another, ARGS=... for options)
	$(BIN)/specbuilder run $(SPEC) $(ARGS)

test: $(DEV)  ## the default test suite (ARGS=... goes to pytest)
	$(BIN)/python -m pytest $(ARGS)

# pytest exits with 5 when it collects nothing: fine only as long as no test is marked long.
test-long: $(DEV)  ## the tests that take minutes
	$(BIN)/python -m pytest -m long $(ARGS) || { code=$$?; test $$code -eq 5 && ! grep -rq --include='*.py' 'mark[.]long' tests; }

lint: $(DEV)  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(DEV)  ## let ruff repair and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)  ## emitted networks and our loop against hand-written twins
	$(BIN)/python -m benchmarks $(ARGS)

index: $(DEV)  ## write specbuilder/catalogue/index.py anew
	$(BIN)/python -m specbuilder.catalogue.indexing

schema: $(DEV)  ## write schemas/spec.schema.json anew
	$(BIN)/specbuilder schema > schemas/.spec.schema.json.new && mv schemas/.spec.schema.json.new schemas/spec.schema.json

clean:  ## remove .venv, caches and build products; runs/ and data/ stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find specbuilder tests -name __pycache__ -type d -prune -exec rm -rf {} +
