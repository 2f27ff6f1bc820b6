# Everything that a developer or a CI machine runs. `make help` lists it.
# Python 3.11 or newer and make are enough; the rest is installed into .venv from hashed pins.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
PYTEST := $(BIN)/python -m pytest
# On all processors. By file, of tests with one name all but one are lost, and those that schemathesis
# makes of a document share theirs; so only system tests go by file, whose servers are started once.
PROCESSES := --numprocesses=auto --maxprocesses=8

.DEFAULT_GOAL := help
.PHONY: help run token test test-system lint format fuzz simulate proof bench lock

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.local ## the whole platform on this machine; PORT=8090 elsewhere, STORE=moto to forget
	@$(BIN)/python -m infra.run $(if $(PORT),--port $(PORT)) $(if $(STORE),--store $(STORE))

token: | $(BIN)/python ## sign in to what `make run` started, as ACCOUNT=citizen-0001 or another
	@$(BIN)/python -m infra.sign_in $(if $(DIRECTORY),--directory '$(DIRECTORY)') $(ACCOUNT)

test: lint ## every check and test that needs nothing but Python
	$(PYTEST) tests --ignore=tests/system $(PROCESSES) --dist=worksteal

test-system: $(VENV)/.dev ## races, crashes, containers, a browser: needs infra/install-debian-packages
	$(PYTEST) tests/contract/test_object_store.py --store=ceph
	$(PYTEST) tests/system/proofs
	$(PYTEST) tests/system --ignore=tests/system/proofs $(PROCESSES) --dist=loadfile

lint: $(VENV)/.dev ## style, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.dev ## rewrite the sources in the one style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fuzz: $(VENV)/.dev ## generated requests and histories with fresh seeds, many more of them
	$(PYTEST) tests --ignore=tests/system -m fuzz --hypothesis-profile=fuzz --timeout=3600

simulate: $(VENV)/.dev ## one simulated history of the engine, told; SEED=7 STEPS=20000 to repeat one
	$(BIN)/python -m tests.simulation replay $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS))

proof: $(VENV)/.dev ## 100,000 simulated histories (goes on where it stopped), then 50 kills
	$(BIN)/python -m tests.simulation prove $(if $(FIRST),--first $(FIRST)) \
		$(if $(HISTORIES),--histories $(HISTORIES))
	$(PYTEST) tests/system -m proof --proof -s --timeout=7200

bench: $(VENV)/.bench ## measure against the peers; writes docs/benchmarks.md
	$(BIN)/python -m bench

# The groups contain each other (run < local < dev < bench) at the same versions, so that
# installing a smaller one over a larger one changes nothing.
$(VENV)/.local $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: requirements/%.txt \
		requirements/speed.txt | $(BIN)/python
	@echo 'Installing what $< pins; the first time takes about a minute …'
	@$(PIP) --requirement $<
	@$(PIP) --requirement requirements/speed.txt >$(VENV)/speed.log 2>&1 || \
		echo 'Without a C compiler HTTP is parsed in Python, a fifth slower: $(VENV)/speed.log'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed; name one: make PYTHON=python3.14 …' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
		{ echo 'This Python has no venv; on Debian it is the package python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv resolves the pins; it has a pin and an environment of its own, as nothing else needs it.
LOCK := .cache/lock
COMPILE := $(LOCK)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--no-header --python-version 3.11 $(if $(UPGRADE),--upgrade)

lock: ## write requirements/ from pyproject.toml; UPGRADE=1 for newer versions
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes \
		--requirement requirements/lock.txt
	$(COMPILE) pyproject.toml --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --group local \
		--constraint requirements/run.txt --output-file requirements/local.txt
	$(COMPILE) pyproject.toml --group local --group dev \
		--constraint requirements/local.txt --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --group local --group dev --group bench \
		--constraint requirements/dev.txt --output-file requirements/bench.txt
	$(COMPILE) --group gateway \
		--constraint requirements/local.txt --output-file requirements/gateway.txt
	$(COMPILE) --group store \
		--constraint requirements/local.txt --output-file requirements/store.txt
	$(COMPILE) --group speed --output-file requirements/speed.txt
	$(COMPILE) --group lock --output-file requirements/lock.txt
