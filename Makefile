# `make help` lists what can be done. Every target sets up what it needs; Python 3.11 or newer is all that must be there.
#   ARGS="..."   more arguments for demo, serve, test and bench, such as: make demo ARGS=--json
#   PYTHON=...   the Python to make .venv with

SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
WORKERS ?= 2
ARGS ?=
PEERS := pipecat livekit agents
CLIENTS := openai agents pipecat livekit

.PHONY: help setup environment models demo serve console test test-web test-browser test-clients lint format bench bench-agents bench-peers requirements clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: models ## make .venv and fetch the embedded models; a second run does nothing

environment:
	@PYTHON="$(PYTHON)" sh scripts/environment.sh .venv requirements/dev.txt --with-project

# Asked again only when the table of weights changed: what is missing later is fetched by the server's start.
WEIGHTS := src/antiphon/models/weights/manifest.py
models: environment
	@[ .venv/.antiphon-models -nt $(WEIGHTS) ] || { $(BIN)/antiphon models pull && touch .venv/.antiphon-models; }

demo: setup ## hear a phone call: a recorded caller talks with the demo agent
	@$(BIN)/antiphon demo $(ARGS)

serve: setup ## the server on this machine and its page, the demo agent answering; says what to do next
	@$(MAKE) --no-print-directory console || echo "Going on without the page: it is not built. Calls are taken all the same."
	@$(BIN)/antiphon serve --dev $(ARGS)

console: environment ## build the page that the server shows; a second run does nothing
	@sh scripts/console.sh build

test: environment ## the tests
	@$(MAKE) --no-print-directory models || echo "Going on without the weights: the tests that need them are skipped."
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --ignore tests/browser $(ARGS)

test-web: environment ## the tests of the page's source
	@sh scripts/console.sh test

test-browser: console ## the page in a browser that speaks: Chromium must be there
	@$(MAKE) --no-print-directory models
	@$(BIN)/python -m pytest tests/browser --tb=native $(ARGS)

test-clients: setup ## the OpenAI, Agents, Pipecat and LiveKit clients, unmodified, against our server (ARGS="--only openai")
	@for client in $(CLIENTS); do \
	    PYTHON="$(PYTHON)" sh scripts/environment.sh tests/clients/.envs/$$client tests/clients/requirements/$$client.txt || exit; \
	done
	@$(BIN)/python -m tests.clients.run $(ARGS)

lint: environment ## formatter, linter, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@sh scripts/console.sh check

format: environment ## let the formatter and the linter mend what they can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## calls a core, overhead, CPU and memory; writes benchmarks/RESULTS.md (ARGS=--quick for one run each)
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-agents: environment ## the agent loop beside its peers (ARGS=--write writes benchmarks/AGENT_LOOP.md)
	@$(BIN)/python -m benchmarks.agent_loop $(ARGS)

bench-peers: ## environments for the benchmarks' peers: Pipecat, LiveKit Agents and the agent frameworks
	@for peer in $(PEERS); do \
	    PYTHON="$(PYTHON)" sh scripts/environment.sh benchmarks/.envs/$$peer benchmarks/requirements/$$peer.txt || exit; \
	done

# Hashes only: neither a host nor a path gets into the files.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links

requirements: environment ## resolve the dependencies anew, with hashes
	@$(BIN)/python -m pip install --quiet uv
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) pyproject.toml --extra dev --extra bench -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) requirements/node.in -o requirements/node.txt
	for peer in $(PEERS); do $(COMPILE) benchmarks/requirements/$$peer.in -o benchmarks/requirements/$$peer.txt; done
	for client in $(CLIENTS); do $(COMPILE) tests/clients/requirements/$$client.in -o tests/clients/requirements/$$client.txt; done

clean: ## remove caches and build output; the environment stays
	rm -rf build dist src/antiphon/console/dist web/node_modules/.antiphon-built .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -not -path '*/.envs/*' -prune -exec rm -rf {} +
