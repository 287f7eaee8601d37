# FedTiny on a bare machine: Python >= 3.11 and make. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test promise papers delay bench bench-peers flower flower-short conformance browser memory workers ray loggers latency-memory tinynas extractor-choice check clean constraints validate tutorial docs-commands reference gallery

# The first of these that is Python 3.11 or newer; say `make PYTHON=...` for another one.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11 python; do \
  $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$candidate && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
# Processes of the tests; one thread each, so that they do not fight for cores.
JOBS ?= 2

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r target text; do \
	  printf '  make %-13s %s\n' "$$target" "$$text"; done

setup: $(INSTALLED) ## create .venv with FedTiny and its tools (again only when pyproject.toml or constraints.txt changed)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "FedTiny needs Python 3.11 or newer: none found; say make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv || { echo "cannot create .venv (Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,check]'
	@touch $(INSTALLED)

run: setup ## run scenarios/quickstart.yaml and its variants, and draw their report side by side
	$(BIN)/fedtiny run scenarios/quickstart.yaml --out runs/quickstart --overwrite
	@echo "The same with FedAvg, and with the full update, at once:"
	@$(BIN)/fedtiny run scenarios/quickstart.yaml --out runs/quickstart_fedavg --overwrite --quiet --set name=quickstart_fedavg \
	  --set strategy=fedavg & fedavg=$$!; \
	$(BIN)/fedtiny run scenarios/quickstart.yaml --out runs/quickstart_full --overwrite --quiet --set name=quickstart_full \
	  --set update=full --set training.optimizer.learning_rate=0.02 && wait $$fedavg
	@$(BIN)/fedtiny report runs/quickstart runs/quickstart_fedavg runs/quickstart_full --out runs/quickstart_comparison >/dev/null
	@echo
	@echo "The report of the run:   runs/quickstart/report.html"
	@echo "All three side by side:  runs/quickstart_comparison/report.html"

test: setup ## run the tests (all but the slow ones) on two processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m "not slow" tests

promise: setup ## measure what DGA promises on Fashion-MNIST: figure and table of the README (about half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/dga_promise.py

papers: setup ## run the sweeps of scenarios/papers over five seeds, and write their tables and figures (hours; finished runs are kept)
	@for name in tinytl sparse_update qas mixed_fleet; do \
	  echo "$$name"; OMP_NUM_THREADS=1 $(BIN)/fedtiny sweep scenarios/papers/$$name.yaml --seeds 5 --workers $(JOBS) --out runs/papers/$$name --quiet; \
	done
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mixed_fleet.py
	@$(MAKE) --no-print-directory delay

delay: setup ## the part of `make papers` about delayed averaging: docs/background/dga.md (an hour or two; finished runs are kept)
	@for sweep in dga_law:1 dga_limits:1 dga_raspberry_pi:1 dga_correction:5 dga_time_to_target:5 dga_drift:3 dga_remedies:3; do \
	  name=$${sweep%:*}; echo "$$name"; \
	  OMP_NUM_THREADS=1 $(BIN)/fedtiny sweep scenarios/papers/$$name.yaml --seeds $${sweep#*:} --workers $(JOBS) --out runs/papers/$$name --quiet; \
	done
	for name in law limits raspberry_pi quadratics correction time_to_target drift remedies; do \
	  OMP_NUM_THREADS=1 $(BIN)/python benchmarks/delay/$$name.py; \
	done

bench: setup ## measure speed against a bare loop, pfl and Flower on Ray: docs/benchmarks.md (about half an hour on an idle machine)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/bench.py

bench-peers: ## create .venv-peers with pfl and Flower's simulation for `make bench`, with the same torch and numpy
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint <(grep -E '^(torch|numpy)==' constraints.txt) 'pfl[pytorch]==0.6.0' 'flwr[simulation]==1.41.0'

flower: setup ## run the apps of clients/ and what `fedtiny deploy` writes on a real Flower SuperLink with two SuperNodes (twenty minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/flower tests/deployment

# It is one of the quick tests, too: it needs no network, two cores and a gigabyte, and a fifth of the three minutes that CI may take for it.
flower-short: setup ## the short form of it, also in `make test`: two real nodes, two rounds (half a minute)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" tests/deployment/test_try_here.py

conformance: setup ## the tests of Flower's semantics on the newest Flower that is supported; `make test` has them on the oldest (three minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .flower-newest 'flwr>=1.42,<1.43'
	PYTHONPATH=$(CURDIR)/.flower-newest OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/apps tests/federation tests/clients tests/architecture

browser: setup ## open reports in headless Chromium at phone and desktop width, in the dark and in print (half a minute; skipped without Chromium)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/reports/test_browser.py -rs

validate: setup ## predict what others measured on real devices, and what this machine takes: docs/validation.md (three minutes)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/validation/validate.py
	@echo "This machine, calibrated, against training steps that it takes (two minutes; leave it alone meanwhile):"
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/validation/this_machine.py

docs-commands: setup ## do every command of fedtiny's in the documentation, sweeps shortened, and install by the tutorial (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/docs

reference: setup ## write docs/reference and the gallery's text from the schema, the catalog, the commands and the scenarios
	$(BIN)/python docs/generators/reference.py

gallery: setup ## run the scenarios and draw their pictures in docs/gallery.md again (a quarter of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python docs/generators/gallery.py

tutorial: setup ## do what docs/tutorial.md says, in a folder of its own, and draw its figures again (a minute)
	OMP_NUM_THREADS=1 $(BIN)/python docs/generators/tutorial.py

memory: setup ## compare predicted training memory with measured steps and with a process's resident memory (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/theory/test_predicted_memory.py tests/theory/test_resident_memory.py

workers: setup ## worker processes of a run, two processes of a sweep, sweeps and searches that are killed (two minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/sweeps/test_workers.py tests/sweeps/test_shared_training.py tests/sweeps/test_killed_sweep.py \
	  tests/sweeps/test_search.py tests/sweeps/test_killed_search.py

ray: setup ## install ray, and compare a real cluster of two nodes with one process (minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[ray]'
	OMP_NUM_THREADS=1 RAY_USAGE_STATS_ENABLED=0 $(BIN)/python -m pytest -m slow tests/sweeps/test_ray.py tests/sweeps/test_ray_node_loss.py

netaug: setup ## the gain of training inside wider networks, by size, data and length, over five seeds (hours; goes on where it was)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/netaug.py

extractor-choice: setup ## networks of a supernet chosen for a data set without back-propagation, against random ones (two minutes)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/extractor_choice.py

tinynas: setup ## evolution against random search, and the ranking of a supernet against networks trained alone (ten minutes)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/tinynas.py

latency-memory: setup ## the sweep of latency x memory three times: timed, killed in the middle, on a Ray cluster that loses a node (half an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[ray]'
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/latency_memory.py --ray --out runs/latency_memory_checked
	for figure in best_choice paired; do for ending in png svg; do \
	  cp runs/latency_memory_checked/whole/figures/sweep_$$figure.$$ending docs/figures/latency_memory_$$figure.$$ending; done; done

loggers: setup ## install MLflow, and read back what runs and a sweep log there and in TensorBoard (a minute)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[mlflow,tensorboard]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/trackers

check: setup ## ruff, mypy --strict and the architecture tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest tests/architecture

constraints: setup ## write the versions in .venv to constraints.txt
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+).*/\1/'; } > .venv/constraints.txt
	@mv .venv/constraints.txt constraints.txt

clean: ## remove .venv and everything that tools and runs leave
	rm -rf .venv .venv-peers .flower-newest runs .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
