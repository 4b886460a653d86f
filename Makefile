# Two commands, each enough from a fresh clone on Linux with git, make and Python >= 3.11:
#   make book    install, execute every chapter, build and check the pages
#   make test    install, run the tests and re-run the chapters with nbval
# PYTHON=python3.12   another interpreter
# TORCH_INDEX=URL     package index with a smaller torch build (see README.md)
# PROFILE=gpu         quick (default), laptop, gpu or paper
# PDF=1               also print the book as one PDF

PYTHON ?= python3
PROFILE ?= quick
PDF ?=
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
# One installer at a time in the environment, also of two makes or `make -j`.
ALONE := $(PYTHON) tools/alone.py $(VENV).lock
PIP := $(ALONE) $(BIN)/python -m pip --disable-pip-version-check
# Small networks lose more to threads than they win, and two chapters or test workers run side by side.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# One more than there are cores, up to four: tests that start, kill or watch processes mostly wait.
WORKERS := $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n + 1 : 4)))

BULLET = $(PIP) install -q -c constraints.txt --only-binary pybullet pybullet \
	&& $(PIP) install -q -c constraints.txt --no-deps bullet-safety-gym

.PHONY: book links test fast cluster trackers lint types gpu-check attack fuzz bullet hashed hashes sbom audit clean distclean
.DELETE_ON_ERROR:

book: $(VENV)/.book
	@$(BIN)/ramac book --profile $(PROFILE) $(if $(PDF),--pdf)

# Every link to another site, asked for once; committed outputs, nothing is executed.
links: $(VENV)/.book
	@rm -rf _build/links && mkdir -p _build/links && cp -r _config.yml _toc.yml book _build/links/
	@$(BIN)/jupyter-book build _build/links --builder linkcheck

test: $(VENV)/.test
	@$(THREADS) $(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder --durations 10 \
		--nbval-lax --nbval-kernel-startup-timeout 300 tests book

fast: $(VENV)/.test
	@$(THREADS) $(BIN)/pytest -n $(WORKERS) --dist loadscope -m "not slow" tests

# Campaigns on a Ray cluster of this machine: a node killed, a driver killed, two drivers, a budget; states in an object
# store, as moto's server plays it. Ten minutes, so apart.
cluster: $(VENV)/.test
	@$(PIP) install -q -c constraints.txt -e '.[s3]' 'moto[s3]' flask flask-cors
	@$(THREADS) $(BIN)/pytest -p no:xdist -m "cluster or not slow" tests/campaign/test_campaign_states.py \
		tests/campaign/test_campaign_ray.py

# Weights & Biases and MLflow, offline; 40 packages more, so apart.
trackers: $(VENV)/.test
	@$(PIP) install -q -c constraints.txt -e '.[wandb,mlflow]'
	@$(THREADS) $(BIN)/pytest -p no:xdist tests/campaign/test_campaign_watch.py

lint: $(VENV)/.test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache --no-logo \
		&& $(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md book ramac_lib tests tools

types: $(VENV)/.test
	@$(BIN)/mypy

# Ten minutes on a machine with CUDA; with another Python that has the package's dependencies: python tools/gpu_check.py
gpu-check: $(VENV)/.test
	@$(BIN)/python tools/gpu_check.py

# A thousand bad inputs and three hundred kills, at most 20 minutes; a sample of it is part of `make test`.
attack: $(VENV)/.test
	@$(BIN)/python tools/attack

# What reads files, a minute each of coverage-guided fuzzing; atheris has wheels for Linux and macOS.
fuzz: $(VENV)/.test
	@$(PIP) install -q -c constraints.txt atheris
	@$(BIN)/python tools/attack/fuzz.py

# The tasks ball-run, ball-circle, car-run, car-circle and drone-run. The package asks for an older Gymnasium than it needs,
# so it comes without its dependencies; pybullet has wheels for some Pythons only and compiles for long elsewhere.
bullet: $(VENV)/.book
	@$(BULLET)

# Only files whose hashes are known; then what is left is the package itself. hashes.txt: Linux, x86-64, Python 3.11.
hashed: hashes.txt pyproject.toml $(VENV)/.torch
	@$(PIP) install -q --force-reinstall --require-hashes --no-deps -r hashes.txt
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $(VENV)/.book $(VENV)/.test

# Adds this platform's hashes of the pins, as the package index states them.
hashes: $(VENV)/.test
	@$(BIN)/python tools/supply.py hashes hashes.txt

sbom: $(VENV)/.test
	@$(BIN)/python tools/supply.py sbom _build

# Known vulnerabilities of the pins, by pip-audit, in an environment of its own.
audit: $(VENV)/.test
	@$(BIN)/python -m venv _build/audit && _build/audit/bin/pip install -q pip-audit
	@_build/audit/bin/pip-audit --no-deps --disable-pip -r constraints.txt

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# With the environment; runs and data stay.
distclean: clean
	rm -rf $(VENV) $(VENV).part $(VENV).lock

# torch comes first: from an index of its own when one is named, and then without its dependencies,
# which that index may hold in other versions than constraints.txt asks for.
$(VENV)/.torch: constraints.txt
	@$(ALONE) $(PYTHON) tools/make_venv.py $(VENV)
	@echo "installing into $(VENV); the first time takes minutes"
	@$(PIP) install -q $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX)) -c constraints.txt torch
	@touch $@

$(VENV)/.book: pyproject.toml constraints.txt $(VENV)/.torch
	@$(PIP) install -q -c constraints.txt -e '.[book]'
	@touch $@

# d4rl needs pybullet, which has wheels for some Pythons only and compiles for long elsewhere.
$(VENV)/.test: pyproject.toml constraints.txt $(VENV)/.torch
	@$(PIP) install -q -c constraints.txt -e '.[book,dev,minari]'
	@$(PIP) install -q -c constraints.txt --only-binary pybullet -e '.[d4rl]' \
		|| echo "d4rl has no wheels for this Python: its comparison test will be skipped"
	@$(PIP) install -q -c constraints.txt --only-binary ray -e '.[ray]' \
		|| echo "ray has no wheels for this Python: tests of its campaigns will be skipped"
	@($(BULLET)) || echo "pybullet has no wheels for this Python: tests of Bullet's tasks will be skipped"
	@touch $@ $(VENV)/.book
