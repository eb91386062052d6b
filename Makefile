# Set-up is automatic: a virtual environment in .venv, created again whenever pyproject.toml changes.
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The folders and files whose spelling is checked.
PROSE := benchmarks docs examples fuzz src tests *.md
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)

.PHONY: help demo test test-all test-browser bench docs fuzz lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train the network of the README, test it by length and draw the plots"
	@echo "make test    run all tests except the long ones; OPTIONS=--durations=20 also lists the slowest, OPTIONS='-k lstm' chooses some"
	@echo "make test-all   run all tests, including the long ones"
	@echo "make test-browser   test notebooks in JupyterLab, the playground and exported pages in a browser; needs chromium and chromedriver"
	@echo "make bench   compare the speed with MyGrad, PyTorch, JAX, Keras and C (takes a while)"
	@echo "make docs    build the site into build/docs/index.html and check its links; OPTIONS='-t quick' runs no lessons and no examples"
	@echo "make fuzz    feed hostile run folders to all code that reads them, for a minute; SECONDS=3600 for an hour"
	@echo "make lint    check style, spelling, prose and types"
	@echo "make clean   remove the environment and the files of tools, but not runs"

demo: $(VENV)/.installed
	@$(BIN)/myrnn train

test: $(VENV)/.installed-test
	@$(BIN)/pytest -q -n auto --dist worksteal -m "not long" $(OPTIONS)

test-all: $(VENV)/.installed-test
	@$(BIN)/pytest -q -n auto --dist worksteal --hypothesis-profile=many $(OPTIONS)

bench: $(VENV)/.installed-bench
	@$(BIN)/python -m benchmarks

# LinkChecker run by root, as in CI, would become the user nobody, who may not be able to read the site.
LINKCHECKER := from linkcheck.command import linkchecker as tool; tool.drop_privileges = lambda: None; tool.linkchecker()

# Nothing of the site may be loaded from a network, and all links must lead somewhere.
docs: $(VENV)/.installed-docs
	@rm -rf build/docs docs/gallery docs/reference/api/generated docs/reference/api/examples
	@$(BIN)/sphinx-build -q -W --keep-going -j auto $(OPTIONS) docs build/docs
	@! grep -rE '<(script|link|img)[^>]+(src|href)="(https?:)?//' build/docs --include='*.html'
	@$(BIN)/python -c '$(LINKCHECKER)' -f docs/linkcheckerrc --no-status build/docs/index.html
	@echo "build/docs/index.html"

test-browser: $(VENV)/.installed-browser
	@$(BIN)/pytest -q -p no:doctest -o addopts= -o pythonpath=tests/browser tests/browser/test_*.py

fuzz: $(VENV)/.installed-fuzz
	@$(BIN)/python -m fuzz --seconds $(or $(SECONDS),60)

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/codespell $(PROSE)
	@$(BIN)/proselint check --config docs/proselint.json *.md docs/*.md docs/*/*.md src/myrnn/lesson/*.md
	@$(BIN)/python tests/test_prose.py
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis docs/gallery docs/reference/api/generated docs/reference/api/examples

# The first Python that is new enough and can make environments; one clear line when there is none.
$(VENV)/.made: pyproject.toml
	@found=; reason="no Python was found"; \
	for python in $(PYTHONS); do \
	  version=$$($$python -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue; \
	  if ! $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    reason="$$python is Python $$version"; \
	  elif ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    reason="$$python (Python $$version) has no venv module; on Debian and Ubuntu: apt install python3-venv"; \
	  else found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "MyRNN needs Python 3.11 or newer with venv, but $$reason" >&2; exit 1; fi; \
	echo "Making $(VENV) with $$found (Python $$version); this happens once and takes a minute or two ..."; \
	rm -rf $(VENV) && $$found -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.made
	@$(PIP) --editable ".[$*]"
	@touch $@
