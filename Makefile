# Every target sets up its own virtual environment with plain pip; nothing else is needed beforehand.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: demo test test-lowest check docs dist bench-step1 bench-wide paper clean

demo: .venv/run.stamp           ## the main job on real data (or on the embedded census)
	$(BIN)/softunlearn demo

test: .venv/test.stamp          ## the tests and every docstring's example
	$(BIN)/python -m pytest

.PHONY: coverage properties
coverage: .venv/test.stamp      ## the tests, and which branches they take: at least 90 %
	$(BIN)/python -m pytest --cov --cov-report=term

properties: .venv/test.stamp    ## 10,000 random data sets with oddities, from end to end
	$(BIN)/python -m pytest --hypothesis-profile=long tests/properties

LOWEST ?=
test-lowest: build/lowest/stamp ## the fast tests (or LOWEST=some) with the lowest versions that are supported
	build/lowest/bin/python -m pytest -m "not slow" -W ignore::DeprecationWarning \
		-W ignore::PendingDeprecationWarning $(LOWEST)

check: .venv/check.stamp        ## lint, types, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: .venv/docs.stamp          ## the documentation, build/docs/index.html; every warning an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -d build/doctrees docs build/docs

dist: .venv/release.stamp       ## wheel and sdist in dist/, each tried in an environment of its own
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python .ci/smoke.py dist

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

.PHONY: bench-dask
bench-dask: .venv/test.stamp    ## one Dask worker against two
	$(BIN)/python benchmarks/speed/dask_scaling.py

.PHONY: bench-peers
bench-peers: .venv/run.stamp build/peers/stamp  ## step 1 against other libraries, in one run
	$(BIN)/python benchmarks/speed/peers.py --peers build/peers

build/peers/stamp: benchmarks/speed/peers.txt
	$(PYTHON) -m venv build/peers
	build/peers/bin/pip --disable-pip-version-check --quiet install --requirement $<
	touch $@

.PHONY: bench
bench: bench-step1 bench-peers bench-wide bench-closed-form bench-bounded bench-streaming bench-dask  ## all of benchmarks/speed

bench-wide: .venv/run.stamp     ## a wide head: our conjugate gradients against plain ones
	$(BIN)/python benchmarks/speed/wide_head.py

clean:
	rm -rf .venv build dist docs/gallery docs/reference/api softunlearn-demo

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

.venv/docs.stamp: .venv/test.stamp
	$(PIP) install --constraint constraints.txt --group docs
	touch $@

.venv/release.stamp: .venv/pip.stamp
	$(PIP) install --constraint constraints.txt --group release
	touch $@

build/lowest/stamp: lowest.txt pyproject.toml
	$(PYTHON) -m venv build/lowest
	build/lowest/bin/pip --quiet install --constraint constraints.txt --upgrade pip
	build/lowest/bin/pip --quiet install --constraint lowest.txt --editable . --group test
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

.PHONY: faults fuzz mutants
faults: .venv/test.stamp        ## kill -9 at 200 random moments of what writes files
	$(BIN)/python -W ignore -m benchmarks.faults

fuzz: .venv/fuzz.stamp          ## half an hour of bytes by a stranger, for every reader of files
	$(BIN)/python -m benchmarks.fuzz all 1800

.venv/fuzz.stamp: .venv/test.stamp benchmarks/fuzz-requirements.txt
	$(PIP) install --constraint constraints.txt --requirement benchmarks/fuzz-requirements.txt
	touch $@

mutants: .venv/mutants.stamp    ## 300 random mutants of the numeric core, and which of them the tests notice
	$(BIN)/python -m benchmarks.mutants 300 7

.venv/mutants.stamp: .venv/test.stamp benchmarks/mutants-requirements.txt
	$(PIP) install --constraint constraints.txt --requirement benchmarks/mutants-requirements.txt
	touch $@
