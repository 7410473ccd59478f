# Two commands do everything on a fresh Linux machine: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
OS ?= al2
export OS
# Test processes side by side; suites that need a lab have one each.
WORKERS ?= 2

.PHONY: help setup demo test lint bench lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing: system packages, virtual environments, collections, Packer
	@scripts/setup

demo: setup ## the main job from one end to the other on the lab (OS=al2 or OS=al2023)
	@.venv/bin/python -m demo --os "$(OS)"

test: setup ## run all tests
	@scripts/setup --core current --no-packer
	@.venv/bin/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(PYTEST_ARGS)

lint: setup ## run the checks that pre-commit and CI run
	@.venv/bin/python -m pytest tests/lint $(PYTEST_ARGS)

bench: setup ## run the benchmarks; each prints its ratio against a named peer
	@.venv/bin/python -m tests.benchmarks

lock: ## write requirements/*.lock anew from requirements/*.in
	@scripts/lock

clean: ## remove what was built here; the cache of base images stays (lab down --purge removes it)
	@[ ! -x .venv/bin/lab ] || .venv/bin/lab down
	@rm -rf build .venv .venv-current
