# Everything a fresh machine with python3 and make needs; `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Output of pip that a user can act on, and nothing else.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
CRASHES ?= 200
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-crash test-spark coverage check docs format bench packages clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(CORE) ## Install, then run the whole path on real records and generated images
	@$(BIN)/lepton demo

test: $(DEV) packages ## Install what the tests need, then run all but the slow ones
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow" $(ARGS)

test-slow: $(DEV) packages ## The thorough suites: scikit-learn's checks of every network, fuzzing
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m slow $(ARGS)

coverage: $(DEV) packages ## Run every test and measure which lines they reach
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(SIDE_BY_SIDE) $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

test-crash: $(DEV) packages ## Kill -9 at CRASHES random moments (200 unless set) of the path
	LEPTON_CRASHES=$(CRASHES) $(BIN)/python -m pytest -m crash --timeout=0 -s $(ARGS)

test-spark: $(DEV) ## Install Spark, then run recipes on it; needs Java 17 or later
	@$(PIP) --editable '.[dev,spark]'
	$(BIN)/python -m pytest -m spark --timeout=0 tests/data/recipes $(ARGS)

check: $(DEV) ## Style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(DEV) ## Write the reference pages from the code
	$(BIN)/python docs/reference.py

bench: $(DEV) ## Run the benchmarks; each prints a table of ratios from one run
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

packages: # PostgreSQL's programs and DICOM tools, for the tests that run them
	@ls /usr/lib/postgresql/*/bin/initdb /usr/bin/dcmdump /usr/bin/dciodvfy >/dev/null 2>&1 || \
		sh tests/install-packages.sh

clean: ## Remove what the targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build *.egg-info

$(VENV)/bin/python:
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Lepton AI (the first time takes a minute or two)"
	@$(PIP) --editable .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Lepton AI and what its tests need (the first time takes a few minutes)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(CORE)
