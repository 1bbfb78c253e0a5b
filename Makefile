# Every target does the set-up that it needs. Python 3.11, and Java 17 for the tests of the Spark engine, must be there.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test lint dev stack stack-day stack-down spark-bundle bench lock stop clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)
	$(BIN)/recsys demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: $(READY)
	$(BIN)/recsys dev

# The services of deploy/compose.yaml as processes: PostgreSQL, Valkey, MLflow, the Dagster UI and daemon, the code
# location and the API. OPTIONS="--port api=8000" and the like; see docs/deployment.md.
stack: $(READY)
	$(BIN)/python -m deploy.stack up $(OPTIONS)

stack-day: $(READY)
	$(BIN)/python -m deploy.stack land $(OPTIONS)

stack-down: $(READY)
	$(BIN)/python -m deploy.stack down $(OPTIONS)

# What jobs on EMR Serverless run: the code, and a Python with the libraries that are installed here. To be made on what
# its machines are: see docs/emr_serverless.md, and deploy/emr/Dockerfile, which does it on Amazon Linux.
spark-bundle: $(READY)
	$(BIN)/python -m recsys_assets.spark_jobs.bundle build/spark-bundle

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# Resolve the newest versions that pyproject.toml allows, and pin them with their hashes.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --extra dev --generate-hashes --no-header \
		--output-file requirements.lock pyproject.toml

stop: $(READY)
	$(BIN)/recsys stop

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
