# Two commands need nothing else: `make demo` and `make test`. Each makes its own virtual environment in .venv.
VENV := .venv
BIN := $(VENV)/bin
# Tests run in two processes of one thread each: two of two threads each would slow each other down.
TEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest

.PHONY: demo test check bench browser install format lint types contracts clean

demo: $(VENV)/.user
	$(BIN)/burnish demo --resume

test: lint types contracts
	$(TEST) -n 2 --dist worksteal

check: lint types contracts
	$(TEST) -n 2 --dist worksteal -m "not slow"

# Burnish beside TRL and transformers on this machine; takes under an hour on two cores.
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/engine.py

# The browser that slow tests open the report and the app in; they are skipped where there is none.
browser:
	command -v chromium || (apt-get update -q && apt-get install -q -y --no-install-recommends chromium)

install: $(VENV)/.dev

lint: $(VENV)/.dev
	$(BIN)/ruff format --check src tests scripts benchmarks
	$(BIN)/ruff check src tests scripts benchmarks

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format src tests scripts benchmarks
	$(BIN)/ruff check --fix src tests scripts benchmarks

$(VENV)/.torch: scripts/make_venv.sh scripts/install_torch.py
	sh scripts/make_venv.sh $(VENV)
	$(BIN)/python scripts/install_torch.py
	touch $@

$(VENV)/.user: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[qlora,tensorboard,ui,sign]'
	touch $@

$(VENV)/.dev: $(VENV)/.user
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[dev]'
	touch $@

$(VENV)/.bench: $(VENV)/.user
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
