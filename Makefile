# The two commands that matter: `make demo` and `make test`. They build .venv and need no root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OPENBLAS_NUM_THREADS = 1

.PHONY: demo test test-all lint bench oracles clean
demo: $(VENV)/ready
	$(BIN)/bittrue demo

# Two workers, each with a half of the files, so that what one test has generated serves the next.
test: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

# The arrays, too, whose simulation `make test` leaves out: each is compiled by Verilator first.
test-all: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# Other people's binaries, in an environment of their own, against the golden model, then against the hardware.
ORACLES := .venv-oracles
ORACLES_FROM ?= oracles.txt oracles-torch.txt
oracles: $(ORACLES)/ready $(VENV)/ready
	$(ORACLES)/bin/python -m pytest --noconftest -rs tests/test_oracle_*.py tests/test_train_*.py
	rm -rf build/oracles
	$(ORACLES)/bin/python tests/oracle_products.py build/oracles
	$(BIN)/python -m pytest -n 2 -rs tests/test_sim_products.py

$(ORACLES)/ready: $(ORACLES_FROM)
	$(PYTHON) -m venv $(ORACLES)
	$(ORACLES)/bin/pip install --quiet --upgrade pip
	$(ORACLES)/bin/pip install --quiet $(addprefix --requirement ,$(ORACLES_FROM))
	$(ORACLES)/bin/pip install --quiet --no-deps tosa-tools==2026.8.0
	@touch $@

$(VENV)/ready: pyproject.toml
	@for tool in $(PYTHON) g++ perl; do command -v $$tool >/dev/null || \
	  { echo "missing: $$tool (Debian: apt-get install g++ make perl python3-venv)"; exit 1; }; done
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "missing: Python 3.11 or later; $(PYTHON) is `$(PYTHON) --version`"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "missing: Python's venv (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	@$(BIN)/python -c 'import find_libpython, sys; sys.exit(find_libpython.find_libpython() is None)' || \
	  { echo "missing: libpython, which the simulators load (Debian: apt-get install libpython3-dev)"; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) $(ORACLES) build
