# `make` alone prints the targets. Everything but the environment itself is done by the Python in dev/.
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
IN_VENV := .venv/bin/python -m
.DEFAULT_GOAL := help
.PHONY: help up down status env test check bench soak venv

help: ## list the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

up: venv ## install everything by Helm, then tell the story of one agent (`DEV=1`: from source; `KUBECONFIG=...`: that cluster)
	@$(if $(DEV),MOORAGE_DEV_SOURCE=1) $(IN_VENV) dev up

down: venv ## stop everything; the data stays for the next `make up` (`make down WIPE=1` deletes it)
	@$(IN_VENV) dev down $(if $(WIPE),--wipe)

status: venv ## say what runs, where, and since when
	@$(IN_VENV) dev status

env: venv ## print shell exports for kubectl and moorage: eval "$(make -s env)"
	@$(IN_VENV) dev env

test: venv ## run all checks and all tests, on a cluster of their own (`make test ARGS='-k wallet'` narrows the tests)
	@$(IN_VENV) dev.checks all $(ARGS)

check: venv ## run the fast half: lint, types, layers and the tests that need no server
	@$(IN_VENV) dev.checks fast $(ARGS)

bench: venv ## run the benchmarks and write docs/benchmarks.md
	@$(IN_VENV) tests.bench $(ARGS)

soak: venv ## kill clients and servers of the ledger for an hour and print totals (`make soak ARGS='--simulation'`: the operator)
	@$(IN_VENV) tests.soak $(ARGS)

# On stderr, because what `make env` prints is for a shell to read.
venv:
	@$(PYTHON) -m dev.interpreter >&2
