# `make run` shows GridHub at work; `make test` tests it. See `make help`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euc
PY := .venv/bin/python
export PYTHON
ARGS ?=

.PHONY: help setup dev run test check format bench bench-anomaly messages lock clean

help: ## Show the targets
	@printf 'GridHub. Targets:\n'
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

setup: ## Make .venv with the command gridhub
	@sh tools/setup.sh run

dev: ## The same with everything that tests need
	@sh tools/setup.sh dev

run: setup ## Broker, hub and a simulated community; ARGS="--speed 60" etc. as for gridhub demo
	@exec .venv/bin/gridhub demo $(ARGS)

test: dev ## All tests, in three processes (many only wait); ARGS="-k journal" etc. as for pytest, "-n 0" for one
	@$(PY) tools/servers.py
	exec $(PY) -m pytest -n 3 $(ARGS)

check: dev ## Format, lint, types, layers
	@.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: dev ## Put the code into shape
	@.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: dev ## Measure; ends with one JSON object
	@exec $(PY) -m tests.bench $(ARGS)

bench-anomaly: dev ## Measure the anomaly detector on DATA=folder (Numenta's layout) and a simulated fleet; one JSON object
	@exec $(PY) -m tests.bench.anomaly $(DATA) $(ARGS)

messages: dev ## Collect the texts of code and pages, compile the translations
	@$(PY) tools/messages.py

lock: dev ## Renew the lock files from pyproject.toml
	@$(PY) tools/lock.py

clean: ## Remove what was made, .venv and the demo's data included
	@rm -rf .venv build dist *.egg-info data/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
