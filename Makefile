# On a fresh clone run `make demo` or `make test`; both install first. `make demo KEEP=1` leaves its Prefect server running.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two workers: tests that wait for a Prefect server do not block the others.
PYTEST := $(BIN)/pytest -n 2

.PHONY: install demo test check peers statistics wheel format lock clean
.DEFAULT_GOAL := install

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: install
	$(BIN)/pareta-pipeline demo $(if $(KEEP),--keep)

test: install
	$(PYTEST)

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.unasync --check
	$(BIN)/lint-imports
	$(PYTEST) -m "long or not long"

# Run third-party clients against the sandbox, each in its own environment under .pareta.
peers: install
	$(BIN)/python -m tests.client.sdks
	$(BIN)/python -m tests.sandbox.fuzzing

# Measure the error rates of the statistics: the tables of docs/statistics.md, docs/comparisons.md and docs/batch.md.
statistics: install
	$(BIN)/python -m benchmarks.claims
	$(BIN)/python -m benchmarks.quotes
	$(BIN)/python -m benchmarks.watch

# Write the wheel and the sdist to dist/.
wheel: install
	$(BIN)/python -m hatchling build --directory dist

format: install
	$(BIN)/python -m scripts.unasync
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# `make lock UPGRADE="prefect uv"` takes new versions of these packages.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --group dev --custom-compile-command "make lock" \
		$(addprefix --upgrade-package ,$(UPGRADE)) pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .pareta dist
