# Every target installs what it needs: a fresh machine has Node with npm, Go (or Docker) and root, nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The Node that runs everything comes from npm, so that the machine's own may be older.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

USE_KUBECONFIG ?=
KILL ?=
STRATEGY ?=
ROLLBACK ?=
MODE ?=
cluster_flags := $(if $(USE_KUBECONFIG),--use-kubeconfig)
SUITE ?=
NAME ?=
BENCH_ROWS ?=
BENCH_ROUNDS ?=
BENCH_MINUTES ?=
BENCH_RATE ?=
bench_flags := $(if $(SUITE),--suite=$(SUITE)) $(if $(BENCH_ROWS),--rows=$(BENCH_ROWS)) $(if $(BENCH_ROUNDS),--rounds=$(BENCH_ROUNDS)) $(if $(BENCH_MINUTES),--minutes=$(BENCH_MINUTES)) $(if $(BENCH_RATE),--rate=$(BENCH_RATE))
demo_flags := $(cluster_flags) $(if $(KILL),--kill-operator) $(if $(STRATEGY),--strategy=$(STRATEGY)) $(if $(ROLLBACK),--rollback=$(ROLLBACK)) $(if $(MODE),--mode=$(MODE))

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or later with npm, then run make again.'; exit 1; }
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: deps
deps: node_modules/.package-lock.json

.PHONY: demo
demo: deps ## One change from apply to Completed on a real cluster under load (KILL=1: kill the operator in every phase; STRATEGY=canary, rolling or toggle; ROLLBACK=Quarantine: walk it back from there first; MODE=observe: Git rolls out)
	@node demo/run.ts $(demo_flags)

.PHONY: demo-up
demo-up: deps ## The demo, left running to play with
	@node demo/run.ts --keep $(demo_flags)

.PHONY: demo-down
demo-down: deps ## End what demo-up left running
	@node demo/down.ts

.PHONY: test
test: deps ## Everything that CI runs: checks, unit, database, cluster and end-to-end tests
	@node dev/test.ts

.PHONY: test-faults
test-faults: deps ## Tests of faults alone, by words of their line in docs/reliability.md (NAME='stale'; without NAME they are listed)
	@node dev/test-faults.ts --name='$(NAME)'

.PHONY: bench
bench: deps ## Speed, into build/bench.json (SUITE=backfill,trigger,verify,traffic,memory,operator BENCH_ROWS=100000,1000000 BENCH_ROUNDS=3 BENCH_MINUTES=20)
	@node bench/run.ts $(bench_flags)

.PHONY: sbom
sbom: deps ## What the operator is made of, as CycloneDX, into build/sbom.cdx.json
	@mkdir -p build && npm sbom --package-lock-only --sbom-format=cyclonedx --sbom-type=application --omit=dev --omit=optional > build/sbom.cdx.json && echo build/sbom.cdx.json

.PHONY: check
check: deps ## Types, lint, format, dead code, generated files
	@npm run --silent check

.PHONY: generate
generate: deps ## Make what is made from the CRD
	@npm run --silent generate

.PHONY: format
format: deps ## Format everything
	@npm run --silent format

.PHONY: cluster-up
cluster-up: deps ## A local cluster; prints the KUBECONFIG to use
	@node dev/cluster/up.ts $(cluster_flags)

.PHONY: cluster-down
cluster-down: deps ## End the local cluster
	@node dev/cluster/down.ts

.PHONY: operator-image
operator-image: deps ## The operator's image, loaded into the local cluster
	@npm run --silent bundle
	@node dev/cluster/image.ts --name segue:dev --file build/segue.mjs:/app/segue.mjs --file build/libpg-query.wasm:/app/libpg-query.wasm --entrypoint '["/usr/local/bin/node","/app/segue.mjs"]'

.PHONY: kubectl-segue
kubectl-segue: deps ## The kubectl plugin as one file, build/kubectl-segue.mjs
	@npm run --silent bundle:cli
