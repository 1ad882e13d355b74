# On a fresh clone run `make demo` or `make test`; both install first. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# More workers than cores: many tests wait, for a server or for another process.
WORKERS ?= 4
PYTEST := $(BIN)/pytest -n $(WORKERS)

.PHONY: help install demo test lint check docs peers statistics wheel image audit format lock clean
.DEFAULT_GOAL := install

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

install: $(VENV)/.installed ## create .venv from requirements.lock (the default)

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: install ## run the whole pipeline against the sandbox; KEEP=1 leaves its Prefect server running
	$(BIN)/pareta-pipeline demo $(if $(KEEP),--keep)

test: install ## run the fast tests
	$(PYTEST)

lint: install ## check format, style, types, generated code and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.unasync --check
	$(BIN)/lint-imports

check: lint ## run lint and all tests, as CI does
	$(PYTEST) -m "long or not long"

docs: install ## build the documentation site in .pareta/site; broken links fail
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

peers: install ## run third-party clients against the sandbox, each in its own environment under .pareta
	$(BIN)/python -m tests.client.sdks
	$(BIN)/python -m tests.sandbox.fuzzing
	$(BIN)/python -m tests.command_line.pool_workers

statistics: install ## measure the error rates of the statistics: tables of docs/statistics.md, comparisons.md, batch.md
	$(BIN)/python -m benchmarks.claims
	$(BIN)/python -m benchmarks.quotes
	$(BIN)/python -m benchmarks.watch

wheel: install ## write the wheel and the sdist to dist/
	$(BIN)/python -m hatchling build --directory dist

image: ## build the worker image pareta-worker with Docker
	docker build --tag pareta-worker --build-arg COMMIT_SHA=$$(git rev-parse HEAD) .

audit: install ## search known vulnerabilities of the locked versions; needs pypi.org, and fails without it
	$(BIN)/uvx pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements.lock

format: install ## rewrite generated code, format and style
	$(BIN)/python -m scripts.unasync
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## write requirements.lock; UPGRADE="prefect uv" takes new versions of these packages
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --group dev --group docs --custom-compile-command "make lock" \
		$(addprefix --upgrade-package ,$(UPGRADE)) pyproject.toml -o requirements.lock

clean: ## delete .venv, dist and everything that a demo wrote
	rm -rf $(VENV) .pareta dist
