# make demo    a shop with shoppers, its admin and its interfaces, on PORT (default 8000)
# make test    every test, against real PostgreSQL and Valkey
# make check   lint, types, import contract, missing migrations, production settings
# make bench   the figures of benchmarks/RESULTS.md
# make setup   the environment alone

PORT ?= 8000
HOST ?= 127.0.0.1
WORKERS ?= 2
export PORT HOST

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.requirements
DEVELOPMENT := $(VENV)/.requirements-dev
CLIENTS := tests/clients/node
PACKAGES := $(CLIENTS)/node_modules/.installed

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-clients demo test check bench

help:
	@sed -n 's/^# //p' Makefile

setup: $(RUNTIME)

setup-dev: $(DEVELOPMENT)

$(RUNTIME): requirements.txt bin/python-for-etalage
	@python=$$(bin/python-for-etalage) && \
	{ $(BIN)/python -c "import pip" 2>/dev/null || "$$python" -m venv --clear $(VENV); } && \
	echo "▸ Installing into $(VENV) (compiling LightFM takes a minute)" && \
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt && \
	touch $@

$(DEVELOPMENT): $(RUNTIME) requirements-dev.txt
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt && touch $@

# npm packages of other vendors, for tests/clients alone. Their install scripts build what we do not use.
setup-clients: $(PACKAGES)

$(PACKAGES): $(CLIENTS)/package-lock.json
	@bin/ensure-node
	@cd $(CLIENTS) && npm ci --ignore-scripts --no-progress --loglevel=error && touch node_modules/.installed

# `exec`, so that a signal for make reaches the supervisor and nobody in between.
demo: setup
	@exec $(BIN)/python manage.py demo

test: setup-dev setup-clients
	@bin/ensure-chromium
	@bin/ensure-node
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not alone" $(ARGS)
	@$(BIN)/python -m pytest -m alone $(ARGS)

check: setup-dev
	@bin/check

bench: setup
	@exec bin/bench
