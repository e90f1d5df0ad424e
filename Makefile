# Every recipe is one line; the work is done by the scripts in hack/. `make` alone explains.
# A cluster asked for by name: make demo CONTEXT=name, or UMBEL_KUBECONFIG=file. Else kind, else a local one.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
python := .venv/bin/python
in_cluster := found=$$(hack/cluster env) && eval "$$found" &&

.NOTPARALLEL:
# Where it is set, every test process compiles the tests and the packages anew: 9 s of CPU each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List what can be made
	@awk -F ':[^#]*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: venv cluster-up images ## Show the main job, from nothing to a summary (fresh machine: 15 to 25 minutes, again: under 90 s)
	@$(in_cluster) $(python) -m hack.demo

.PHONY: test
test: check services e2e ## Everything: check, contract and integration tests with real brokers, end to end

.PHONY: check
check: no-shadow venv ## Lint, types, import contracts, unit, property and simulation tests (under a minute)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=operator:worker_image .venv/bin/lint-imports
	.venv/bin/vermin -t=3.9- --no-tips --violations --quiet worker_image/umbel_worker
	.venv/bin/pytest -q -n 2 tests/unit tests/property tests/simulation

.PHONY: matrix
matrix: venv ## Settings win: every supported Celery, application style, pool and broker
	@hack/tools brokers
	@hack/tools celery
	UMBEL_MATRIX=full .venv/bin/pytest -q -m matrix tests/integration/worker

.PHONY: brokers-matrix
brokers-matrix: venv ## Contract and integration tests on Redis 7.0 and 8.0, Valkey 8.1, RabbitMQ 3.10 and 4.0
	@hack/tools brokers
	@hack/tools celery
	@hack/newer-brokers
	@hack/brokers-matrix

.PHONY: e2e
e2e: venv cluster-up images ## End-to-end tests on the cluster
	@hack/install
	$(in_cluster) .venv/bin/pytest --durations=10 -n 2 --dist loadgroup -m 'e2e and not alone' tests/contract tests/e2e
	$(in_cluster) .venv/bin/pytest --durations=10 -m 'e2e and alone and not outage' tests/e2e

.PHONY: outages
outages: venv cluster-up images ## Outages of a minute, of the leader and of the local cluster's API server (6 minutes)
	@hack/install
	$(in_cluster) .venv/bin/pytest -rP --durations=10 -m outage tests/e2e

.PHONY: bench
bench: venv cluster-up images ## Measure what the README claims
	$(in_cluster) $(python) -m benchmarks

.PHONY: simulation
simulation: venv ## Simulate every scenario beside KEDA and the HPA; writes docs/simulate.md and its plots
	$(python) -m benchmarks.simulation --write

.PHONY: docs
docs: venv ## Check every page: links, headings, pictures, YAML, commands, and the code and tests that it names
	.venv/bin/pytest -q -n 2 tests/unit/docs tests/unit/spec/test_docs.py

.PHONY: dashboard
dashboard: venv ## Write the chart's Grafana dashboard anew from hack/dashboard
	$(python) -m hack.dashboard

.PHONY: dashboard-picture
dashboard-picture: venv cluster-up images ## Record the dashboard under load on the cluster (9 minutes), and draw it into docs/
	@hack/tools prometheus
	$(in_cluster) $(python) -m hack.dashboard.record
	$(python) -m hack.dashboard.picture

.PHONY: cluster-up
cluster-up: ## Find a cluster, or start one
	@hack/cluster up

.PHONY: images
images: ## Build the images whose inputs changed and load them into the cluster
	@hack/images

.PHONY: reproducible
reproducible: ## Build the images of operator and worker twice from nothing, and compare them byte by byte
	@hack/images --verify

.PHONY: install
install: cluster-up images ## Install the working tree into the cluster with Helm
	@hack/install

.PHONY: cluster-down
cluster-down: ## Delete the cluster that cluster-up started, and all it left on the host
	@hack/cluster down

.PHONY: lock
lock: ## Resolve requirements/*.txt anew from pyproject.toml
	@hack/lock

# --- parts of the above

.PHONY: venv
venv:
	@hack/tools venv

.PHONY: services
services: venv
	@hack/tools brokers
	@hack/tools celery
	@hack/tools prometheus
	.venv/bin/pytest -n 4 --dist worksteal -m 'not e2e and not matrix' tests/contract tests/integration tests/monitoring
	.venv/bin/pytest -q -m matrix tests/integration/worker

# Python's own `operator` would be hidden by a package of that name.
.PHONY: no-shadow
no-shadow:
	@test ! -e operator/__init__.py || { echo "operator/__init__.py hides Python's module 'operator': delete it" >&2; exit 1; }
