# Every target sets up its own virtual environment with plain pip; nothing else is needed beforehand.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: demo test check bench-step1 paper clean

demo: .venv/run.stamp           ## the main job on real data (or on the embedded census)
	$(BIN)/softunlearn demo

test: .venv/test.stamp          ## the tests and every docstring's example
	$(BIN)/python -m pytest

check: .venv/check.stamp        ## lint, types, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench-step1: .venv/run.stamp    ## step 1 against one Gram product of the same matrix
	$(BIN)/python benchmarks/speed/step1.py

paper: .venv/test.stamp         ## the paper's experiments, on real data (SOFTUNLEARN_DATA)
	$(BIN)/python -W ignore -m benchmarks.paper

.PHONY: bench-closed-form bench-bounded bench-streaming
bench-closed-form: .venv/run.stamp  ## the closed form at 10^8 rows against two passes over memory
	$(BIN)/python benchmarks/speed/closed_form.py

bench-bounded: .venv/speed.stamp    ## bounded weights at 10^6 rows against PIQP and Clarabel
	$(BIN)/python benchmarks/speed/bounded.py

bench-streaming: .venv/run.stamp    ## rows from Parquet against reading them and two Gram products
	$(BIN)/python benchmarks/speed/streaming.py

clean:
	rm -rf .venv softunlearn-demo

.venv/pip.stamp: constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install --constraint constraints.txt --upgrade pip
	touch $@

.venv/run.stamp: .venv/pip.stamp pyproject.toml
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

.venv/test.stamp: .venv/run.stamp
	$(PIP) install --constraint constraints.txt --group test
	touch $@

.venv/check.stamp: .venv/test.stamp
	$(PIP) install --constraint constraints.txt --group check
	touch $@

.venv/speed.stamp: .venv/run.stamp benchmarks/speed/requirements.txt
	$(PIP) install --constraint constraints.txt --requirement benchmarks/speed/requirements.txt
	touch $@

.PHONY: bench-frontier
bench-frontier: .venv/frontier.stamp  ## our frontier against the peers, on real data (SOFTUNLEARN_DATA)
	$(BIN)/python benchmarks/frontier/frontier.py

.venv/frontier.stamp: .venv/test.stamp benchmarks/frontier/requirements.txt
	$(PIP) install --constraint constraints.txt --requirement benchmarks/frontier/requirements.txt
	touch $@
