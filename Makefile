# The same targets are what CI runs. On Windows or without make: see "Without make" in README.md.
PYTHON ?= python3
VENV ?= .venv
TORCH := torch==2.13.0
PACKAGES := config retrievers backends chains graphs wire
CLIENTS := tests/clients
# How many processes run the tests; each may load the embedder (about 1 GB).
TEST_PROCESSES ?= 2

# What the service reads from the environment may also be given as `make run PORT=9000`.
export HOST PORT OLLAMA_BASE_URL LOG_LEVEL VECTOR_STORE_PATH MODEL_CACHE_DIR

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help run doctor install install-dev test test-clients test-browser screenshot golden fuzz audit check format clean lock notebooks docs train bench bench-peers

help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: install ## Start the service on http://127.0.0.1:8000 (HOST=, PORT=, OLLAMA_BASE_URL= may be given)
	@$(PY) server.py

doctor: install ## Look at Ollama, models, memory, stores and the memory bank: what is wrong, and the fix
	@$(PY) -m backends.doctor

install: $(VENV)/.installed ## Make .venv and install the lock into it

install-dev: $(VENV)/.installed-dev ## The same with what checks and tests need

test: install-dev ## Run the whole test suite
	$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile --cov --cov-report=term --cov-fail-under=90

golden: install-dev ## Write the golden files of the wire anew
	GOLDEN=write $(PY) -m pytest tests/contract/test_golden_answers.py tests/wire/test_chunks_and_sse.py

fuzz: install-dev ## Feed the readers of foreign text with made-up input, 60 s each (SECONDS_EACH=)
	$(PY) -m tests.fuzz.fuzz $(or $(SECONDS_EACH),60)

test-clients: install-dev $(CLIENTS)/node_modules/.installed ## Let real clients from npm (Cline, opencode, SDKs) solve a task; needs Node.js 20
	$(PY) -m pytest -n $(TEST_PROCESSES) -m clients $(CLIENTS)

test-browser: install-dev ## Use the pages in a real Chromium; installs Debian's package where there is none
	@command -v chromium google-chrome >/dev/null || test -n "$$CHROMIUM" || { \
		echo "Installing Debian's package chromium for the browser tests."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }
	$(PY) -m pytest -m browser tests/browser

screenshot: install-dev ## Take the README's picture of the status page anew; needs what test-browser installs
	$(PY) -m tests.browser.screenshot

audit: install-dev ## Look for known vulnerabilities of the locked packages; asks PyPI
	$(BIN)/uvx pip-audit==2.10.1 --strict --no-deps --disable-pip --requirement requirements.txt --requirement requirements-dev.txt

check: install-dev ## Formatting, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: install-dev ## Run the notebooks and keep their output
	$(PY) -m tests.support.notebooks

docs: install-dev ## Write what of README and docs/configuration.md follows from the code
	$(PY) -m tests.support.generated_docs

train: install-dev ## Train the classifier on training/requests anew (some minutes)
	$(PY) -m training.train

bench: install-dev ## Measure what the router itself costs beside its peers, for docs/performance.md; BENCH="--quick" for a short run that saves nothing
	$(PY) -m benchmarks.overhead $(or $(BENCH),--save)
	$(if $(BENCH),,$(PY) -m benchmarks.overhead.growth --banks --save)
	$(if $(BENCH),,$(PY) -m benchmarks.overhead.page)

PEERS := benchmarks/peers
bench-peers: $(PEERS)/.venvs/litellm/.installed $(PEERS)/.venvs/langgraph_openai_serve/.installed ## Install the peers that `make bench` measures, each by itself

$(PEERS)/.venvs/%/.installed: $(PEERS)/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

lock: install-dev ## Find new versions for requirements.txt and requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
		--overrides requirements.overrides requirements.in --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --upgrade \
		--overrides requirements.overrides --constraint requirements.txt \
		requirements-dev.in --output-file requirements-dev.txt

clean: ## Remove .venv, caches and built files; memory indexes and sessions stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.13 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch first and by itself, then everything else exactly as locked: why, in docs/dependencies.md. Our own packages are
# compiled like pip's, for the first start and for where PYTHONDONTWRITEBYTECODE is set.
$(VENV)/.installed: requirements.txt | $(VENV)/.made
	@echo "Installing torch, then the rest of the lock: some minutes the first time. On Linux, README (Without make) has a torch of a tenth of the size."
	$(PY) -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
	$(PY) -m compileall -q $(PACKAGES)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-dev.txt
	@touch $@

# Not `npm ci`: it refuses a lock that was made where other systems' binaries could not be seen.
$(CLIENTS)/node_modules/.installed: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	@command -v npm >/dev/null || { echo "make test-clients needs npm and Node.js 20 or newer: install them, then try again." >&2; exit 1; }
	npm --prefix $(CLIENTS) install --no-save --prefer-offline --loglevel=error
	@touch $@
