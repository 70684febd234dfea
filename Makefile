# Two commands on a fresh machine: `make quickstart` and `make test`. Both make .venv where it is missing.
# `make test-skipped` runs the test files of which `make test` skipped something, once the tools are installed.
# `make release` builds and checks what is released: see RELEASING.md.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test test-skipped check docs release clean

quickstart: .venv/quickstart.stamp
	$(BIN)/mkd quickstart --output quickstart --overwrite

test: .venv/dev.stamp
	$(MAKE) check
	$(BIN)/python -m pytest --cache-clear -m alone --cov
	$(BIN)/python -m pytest -m 'not alone' -n 2 --dist worksteal --cov --cov-append --cov-fail-under 93

test-skipped: .venv/dev.stamp
	$(BIN)/python -m pytest --skipped-last-time

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation, in site/; a broken link or a missing anchor is an error.
docs: .venv/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

release: .venv/dev.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[release]'
	PYTHON=$(BIN)/python scripts/release.sh

clean:
	rm -rf .venv dist build site

.venv/quickstart.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	# torch first and exactly: a range would take several gigabytes of CUDA packages.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[quickstart]'
	touch $@

.venv/dev.stamp: .venv/quickstart.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/docs.stamp: .venv/quickstart.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@
