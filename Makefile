# The two commands: `make run` opens the explorer, `make test` runs the whole suite.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

.PHONY: run test test-fast lint browser clean

run: .venv/run.stamp
	@echo "Starting on http://localhost:$(PORT) (Ctrl-C stops it)"
	@$(BIN)/streamlit run dashboard/app.py --server.port=$(PORT) --server.headless=true

test: .venv/dev.stamp browser
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

# The loop at work, under 90 s on two cores: core without what is marked slow (trainings and evaluations in several
# processes, the grid of cells, the dearest proofs and attacks), without the dashboard and the browser.
test-fast: .venv/dev.stamp
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder -m "not slow" \
		--ignore=tests/browser --ignore=tests/dashboard

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

# A Chromium on the PATH; else Debian's, when root; else Playwright's own.
browser: .venv/dev.stamp
	@for name in chromium chromium-browser google-chrome; do command -v $$name && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else \
		$(BIN)/playwright install chromium; \
	fi

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements.txt requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/run.stamp

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
