# Two commands do everything on a fresh Linux machine: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
OS ?= al2023
export OS
# Test processes side by side; suites that need a lab have one each.
WORKERS ?= 2

.PHONY: help setup demo check test backwards kills lint bench lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing: system packages, virtual environments, collections, Packer, session-manager-plugin
	@scripts/setup

demo: setup ## the main job from one end to the other on the lab (OS=al2 or OS=al2023)
	@.venv/bin/python -m demo --os "$(OS)"

check: setup ## the quick loop, without machines: lint, unit tests, templates
	@.venv/bin/python -m pytest -n $(WORKERS) --no-loadscope-reorder tests/lint tests/unit tests/templates $(PYTEST_ARGS)

test: setup ## run the tests (ALL=1: the slow ones too, as CI does)
	@scripts/setup --core current --no-packer
	@.venv/bin/python -m pytest -n $(WORKERS) --no-loadscope-reorder --durations=20 --durations-min=5 $(if $(ALL),--slow) $(PYTEST_ARGS)

backwards: setup ## run the end-to-end tests in reversed order: none depends on another
	@scripts/setup --core current --no-packer
	@.venv/bin/python -m pytest --backwards tests/e2e $(PYTEST_ARGS)

kills: setup ## kill the control node at 20 moments of a patch (PATCH_SEED chooses them) and run it again
	@PATCH_KILLS="$${PATCH_KILLS:-20}" .venv/bin/python -m pytest tests/lab/cloud/test_patch_fleet.py -k killed $(PYTEST_ARGS)

lint: setup ## run the checks that pre-commit and CI run
	@.venv/bin/python -m pytest tests/lint $(PYTEST_ARGS)

bench: setup ## run the benchmarks; each prints its ratio against a named peer
	@.venv/bin/python -m tests.benchmarks

lock: ## write requirements/*.lock anew from requirements/*.in
	@scripts/lock

clean: ## remove what was built here; the cache of base images stays (lab down --purge removes it)
	@[ ! -x .venv/bin/lab ] || .venv/bin/lab down
	@rm -rf build .venv .venv-current
