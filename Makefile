# One command per task. Everything is installed into .venv beside this file; nothing is installed elsewhere.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
MELTANO := $(VENV)/meltano/ready
LOADERS := $(VENV)/target-jsonl/ready $(VENV)/target-postgres/ready
PEERS := $(foreach name,singer-sdk dlt target-jsonl plot,$(VENV)/bench-$(name)/ready)
OWN := $(VENV)/bench-own/ready
JOBS ?= 4

.DEFAULT_GOAL := help
.PHONY: help demo test crash bench fuzz lint format docs clean

help: ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group test --group lint --editable '.[pandas,report,sandbox]'
	touch $(READY)

# Meltano needs an environment of its own, as its users give it one.
$(MELTANO): $(READY)
	$(PYTHON) -m venv --clear $(VENV)/meltano
	$(VENV)/meltano/bin/python -m pip install --quiet --disable-pip-version-check meltano==4.4.1
	touch $(MELTANO)

# Targets of other people that load what `collect --to-singer` writes.
$(VENV)/target-jsonl/ready: PACKAGE := target-jsonl==0.1.4
$(VENV)/target-postgres/ready: PACKAGE := meltanolabs-target-postgres==0.8.1
$(LOADERS): $(READY)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGE)
	touch $@

# The target as its users install it: without the extras, which bring pandas into the process wherever Arrow finds it.
$(OWN): $(READY)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

# What the target is measured beside, and what draws the plot: each in an environment of its own.
$(PEERS): $(VENV)/bench-%/ready: benchmarks/requirements-%.txt $(READY)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

demo: $(READY) ## Send a made-up CRM export through a real tap into the sandbox; SERVICE=lance
	$(BIN)/target-amplemarket demo --folder demo --service $(or $(SERVICE),amplemarket)

test: $(READY) $(MELTANO) $(LOADERS) ## All tests
	$(BIN)/python -m pytest -n $(JOBS)

crash: $(READY) $(MELTANO) ## The whole proof of delivery: every kill, fault and power cut, then planted defects
	CRASH=all $(BIN)/python -m pytest -n $(JOBS) tests/crash tests/test_power_cut.py tests/test_protocol_machine.py tests/e2e/test_meltano_kills.py
	$(BIN)/python -m tests.planted

bench: $(READY) $(OWN) $(PEERS) ## CPU, memory and requests beside a floor and peers; LONG=1 goes to 10 million
	$(BIN)/python -m benchmarks $(if $(LONG),--long)

fuzz: $(READY) ## Search for inputs that break the readers; FUZZ_SECONDS=600
	$(BIN)/python -m tests.fuzz --seconds $(or $(FUZZ_SECONDS),600)

lint: $(READY) ## Style, types, import order, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check
	$(BIN)/python -m tests.security.audit

format: $(READY) ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write the generated pages anew
	$(BIN)/python -m docs.generate

clean: ## Remove everything that was made here
	rm -rf $(VENV) benchmarks/.data .meltano .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find demo -mindepth 1 ! -name README.md -delete
