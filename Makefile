# make demo   sets up and runs the demonstration
# make test   sets up and runs all tests
# make check  style, types, import order, spelling
# make package builds the wheel, installs it alone and runs the demonstration from it
# make peers  sets up .venv-peers, the environment of benchmarks/peers.py

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= runs/demo

# The newest Python that all of them take; TorchGeo's current release needs 3.12.
PEERS_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python) $(shell python3.12 -c 'import sys; print(sys.executable)' 2>/dev/null) $(BIN)/python)

.PHONY: demo test check package peers clean

demo: $(VENV)/.areca
	rm -rf runs/demo
	$(BIN)/areca run tree_crown_demo --out $(OUT)

test: $(VENV)/.dev
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CHANGELOG.md engine pipelines tests benchmarks

package: $(VENV)/.dev
	rm -rf dist build/wheel
	$(BIN)/uv build --quiet --wheel --out-dir dist
	$(BIN)/uv venv --quiet --python $(BIN)/python build/wheel
	$(BIN)/uv pip install --quiet --python build/wheel/bin/python -c constraints.txt dist/*.whl
	cd build && wheel/bin/areca run tree_crown_demo --out wheel/demo

peers: .venv-peers/.done

clean:
	rm -rf $(VENV) .venv-peers build dist

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "areca needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.areca: pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e . --group dev
	touch $@ $(VENV)/.areca

.venv-peers/.done: pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(PEERS_PYTHON) .venv-peers
	$(BIN)/uv pip install --quiet --python .venv-peers/bin/python -c constraints.txt -e '.[models]' --group peers
	touch $@
