# Everything a person types. Each target makes its own virtual environment first if there is none.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo
# Tests wait for daemons and for jobs: two at a time keep a core busy.
TESTERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))

# Every command starts several times faster once Python has kept what it compiled, and the tests start thousands.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-faults test-tidy3d lint bench docs site reference constraints clean

help:  ## What can be typed
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

# A person's own folder may have a configs/ of its own: only the compat mode lets the package win over it.
# uv reads the same constraints several times faster than pip; where it cannot be had, pip does the same job.
define install
	@echo "Setting up $(1) (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "simcampaign needs Python 3.11 or newer; $(PYTHON) is older, or not there. Type: make PYTHON=/path/to/python3.11"; exit 2; }
	@rm -rf $(1) && $(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt 2>/dev/null || true
	@if [ -x $(1)/bin/uv ] && $(1)/bin/uv pip install -q --python $(1)/bin/python --require-hashes -r $(2); then :; \
	 else $(1)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $(2); fi
	@$(1)/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $(1)/$(3)
endef

$(VENV)/.demo: pyproject.toml requirements/demo.txt
	$(call install,$(VENV),requirements/demo.txt,.demo)

$(VENV)/.dev: pyproject.toml requirements/dev.txt
	$(call install,$(VENV),requirements/dev.txt,.dev)
	@touch $(VENV)/.demo

# The demo keeps everything, the ledger and Prefect's files too, in its own folder.
demo: export SIMCAMPAIGN_HOME = $(if $(filter /%,$(DEMO)),$(DEMO),$(CURDIR)/$(DEMO))/.simcampaign
demo: export PREFECT_HOME = $(if $(filter /%,$(DEMO)),$(DEMO),$(CURDIR)/$(DEMO))/.prefect
demo: $(VENV)/.demo  ## A campaign of real simulations on this machine; type it again: nothing is left to do
	@$(BIN)/python -m models.colony.inits "$(DEMO)"
	$(BIN)/python -m flows.run_local_simulations configs/colony.yaml "context.working_location=$(DEMO)" "context.manifest_location=$(DEMO)"

test: $(VENV)/.dev  ## The tests
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder -m "not faults and not tidy3d" $(FLAGS)

test-faults: $(VENV)/.dev  ## Slow campaigns of kills and cuts
	$(BIN)/python -m pytest -n auto --dist worksteal -m faults $(FLAGS)

test-tidy3d: $(VENV)/.dev  ## Tidy3D's own clients against the solver service; installs them apart, once
	$(BIN)/python -m pytest -m tidy3d $(FLAGS) tests/integration

lint: $(VENV)/.dev  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## Side-by-side measurements; each prints ratios
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev  ## Check that every command in docs/ works
	$(BIN)/python -m pytest tests/docs

site: export NO_MKDOCS_2_WARNING = 1
site: $(VENV)/.dev  ## The guide as a site, in build/site
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

reference: $(VENV)/.dev  ## Write docs/reference.md from the code
	$(BIN)/python docs/reference.py > docs/reference.new
	@mv docs/reference.new docs/reference.md

constraints: $(VENV)/.dev  ## Pin names, versions and hashes again
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra demo pyproject.toml requirements/build.in -o requirements/demo.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra demo --extra dev -c requirements/demo.txt pyproject.toml requirements/build.in -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra demo --extra aws --extra ssh --extra docker --extra postgres --extra service --extra solver -c requirements/dev.txt pyproject.toml requirements/build.in -o requirements/server.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/uv.in -o requirements/uv.txt
	$(BIN)/uv pip compile -q --universal --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/peers.in -o requirements/peers.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/pyedb.in -o requirements/pyedb.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/tidy3d.in -o requirements/tidy3d.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/flexrf.in -o requirements/flexrf.txt

clean:  ## Remove the virtual environment and the demo's results
	rm -rf $(VENV) "$(DEMO)"
