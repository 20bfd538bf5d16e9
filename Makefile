# Targets a newcomer needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Fast tests in two processes, a module's tests in one of them; -v only undoes the -q of pyproject.toml.
FAST := $(BIN)/pytest -v -m "not slow" -n 2 --dist loadscope
SLOW := $(BIN)/pytest -v -m slow

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Bitwright needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "this Python has no venv: apt install python3-venv"; exit 1; }
	@echo "installing Bitwright into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(STAMP)  ## make the environment: .venv/bin/bitwright

demo: $(STAMP)  ## plan qwen-72b for 2x A6000, then plan, quantize and measure a small real model here
	@$(BIN)/bitwright demo

check: $(STAMP)  ## format, lint, types and import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test-fast: check  ## checks and the tests that need no backend (about a minute on two cores)
	@$(FAST)

test: check  ## everything: checks, fast tests and the real backends; the slow ones run whatever the fast ones say
	@fast=0; $(FAST) || fast=$$?; slow=0; $(SLOW) || slow=$$?; exit $$((fast || slow))

format: $(STAMP)  ## rewrite the sources in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove the environment (state and caches stay where BITWRIGHT_HOME and BITWRIGHT_CACHE say)
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
