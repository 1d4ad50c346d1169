# make demo | test | check | bench | fuzz | wheel | lock
#
# Each target makes .venv by itself: when there is none, and anew when the lock changed.  It needs Python 3.11 or
# newer with its venv module (Debian: python3-venv) and pip's way to a package index, which pip's own settings give.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SUFFIXES:

VENV := .venv
# Always `python -m tool`: the scripts in bin/ carry the path at which they were installed, and checkouts move.
PY := $(VENV)/bin/python
# Tells uv pip compile what both locks share: every Python from 3.11 and every platform, hashes, and no addresses.
COMPILE := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
	--extra postgres --extra demo --extra oauth

.PHONY: help demo test check format bench fuzz wheel lock clean

help:
	@echo "make demo    see it: an embedded mail server, people who complain, and the handlers' screen"
	@echo "make test    the tests, on every core; ARGS='-k words' passes options to pytest, and -n0 takes one core"
	@echo "make check   ruff, mypy and the rules of import"
	@echo "make bench   measure, and write the table of docs/performance.md; ARGS=--help lists the parts"
	@echo "make fuzz    mail made up by a fuzzer for half an hour (FUZZ_MINUTES), then threads made up at random"
	@echo "make wheel   build dist/*.whl"
	@echo "make lock    write the lock files anew from pyproject.toml; ARGS=--upgrade takes newer releases"

demo: $(VENV)/.installed
	@$(PY) -m daemon demo --open $(ARGS)

# One worker more than cores: a part of the time the tests wait for servers and processes.
test: $(VENV)/.installed
	@$(PY) -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.installed
	@$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

format: $(VENV)/.installed
	@$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/.installed
	@$(PY) -m bench $(ARGS)

fuzz: $(VENV)/.fuzz
	@$(PY) -m fuzz

wheel: $(VENV)/.installed
	@$(PY) -m hatchling build --target wheel --directory dist

lock: $(VENV)/.installed
	@$(COMPILE) $(ARGS) pyproject.toml --output-file requirements.lock
	$(COMPILE) $(ARGS) --group dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock
	$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate $(ARGS) --group pyproject.toml:fuzz --output-file requirements-fuzz.lock
	sed -i '/^#/d' requirements.lock requirements-dev.lock requirements-fuzz.lock

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache

# The project itself: its dependencies stand in the lock, and the back end that builds it does too.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(PY) -m compileall -q amends daemon tui  # as pip does with a wheel; a shell may keep Python from doing it later
	touch $@

$(VENV)/.locked: requirements-dev.lock
	@for name in python3 python3.14 python3.13 python3.12 python3.11; do
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi
	done
	if [ -z "$${python:-}" ]; then
		echo "Amends needs Python 3.11 or newer, and none of python3, python3.11 ... python3.14 is that." >&2
		exit 2
	fi
	echo "Making $(VENV) with $$($$python --version) from requirements-dev.lock; this takes a minute." >&2
	$$python -m venv --clear $(VENV) || {
		echo "$$python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
		exit 2
	}
	$(PY) -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	touch $@

# The fuzzer alone, beside the rest: the tests do without it.
$(VENV)/.fuzz: $(VENV)/.installed requirements-fuzz.lock
	@$(PY) -m pip install --quiet --no-deps --require-hashes --requirement requirements-fuzz.lock
	touch $@
