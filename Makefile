# Every target does its own set-up: an environment in .venv from requirements.lock, every hash checked.
# Needs Python 3.11 or later (PYTHON=... to choose one), git and make.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MEMBERS := packages/core packages/azure packages/aws packages/testing
export UV_PYTHON_DOWNLOADS := never
# Trust what the machine trusts: a company's own authority is in the system's store.
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo demo-aws demo-azure package-aws package-azure test test-quick torture check lint types contracts bench lock \
  build setup clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## the environment, from requirements.lock

$(READY): requirements.lock requirements-uv.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later found. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

demo: $(READY)  ## real orders from a vendor's API through fetch, transform and routing into queues
	@$(BIN)/python -m examples.orders.demo

demo-aws: $(READY)  ## the same orders through Lambda's handler, SQS, DynamoDB and PostgreSQL, on a stand-in for AWS
	@$(BIN)/python -m examples.orders.aws_demo

demo-azure: $(READY)  ## the same orders through a function app, Service Bus and PostgreSQL, on stand-ins for Azure
	@$(BIN)/python -m examples.orders.azure_demo

test: $(READY)  ## every test, on SQLite and on a PostgreSQL that the tests start
	@$(BIN)/python -m pytest -n 4 --dist worksteal

test-quick: $(READY)  ## all but the slow ones
	@$(BIN)/python -m pytest -n 4 --dist worksteal -m "not slow"

torture: $(READY)  ## kill, pause and crash it all on a real PostgreSQL, then count (TORTURE="--seed 7 --database sqlite")
	@$(BIN)/python -m benchmarks.torture $(TORTURE)

check: lint types contracts  ## lint, types and layer contracts

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy conftest.py packages/*/src packages/*/tests examples benchmarks infra

contracts: $(READY)
	@$(BIN)/lint-imports

bench: $(READY)  ## what things cost, measured beside the same statements issued raw
	@$(BIN)/python -m benchmarks

build: $(READY)  ## the four wheels and source distributions, into dist/
	@$(BIN)/uv build --quiet --all-packages --no-build-isolation --python $(BIN)/python --out-dir dist

lock: $(READY)  ## compile requirements.lock anew (UPGRADE=--upgrade to move the versions)
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links $(UPGRADE) \
	  --python-version 3.11 --group dev $(foreach m,$(MEMBERS),--no-emit-package api-exchange-$(notdir $(m))) \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	@echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 -c requirements.lock --custom-compile-command "make lock" - -o requirements-uv.lock

package-aws: $(READY)  ## what Lambda loads, for infra/aws: dist/orders-aws.zip, the same bytes for the same sources
	@$(BIN)/python -m infra.aws.package $(PACKAGE)

package-azure: $(READY)  ## what a function app loads, for infra/azure: dist/orders-azure.zip, the same bytes alike
	@$(BIN)/python -m infra.azure.package $(PACKAGE)

clean:  ## remove what the targets made
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
