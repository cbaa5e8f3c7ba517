# Holdfast. `make demo` shows it, `make test` proves it; both set up what they need and are safe to repeat.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CACHE := $(or $(HOLDFAST_CACHE),$(HOME)/.cache/holdfast)
UV := $(shell command -v uv 2>/dev/null || echo $(CACHE)/uv/bin/uv)
RUN := $(UV) run --no-sync
export PYTHONSAFEPATH := 1
PHASE := game_days/phase.sh
ARGS ?=
SEEDS ?= 200

.PHONY: help demo test check sim sim-docs bench-idle scale soak soak-calls bench-failover bench-latency bench-bridge matrix bench-decide bench-cli docs explain-page lab-up lab-down crds tools images setup preflight unit core mutants mutation fuzz cluster system

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

demo: preflight tools images  ## lose a region under live calls, on three real clusters (ARGS="--calls 12 --operators-off …")
	@$(RUN) python -m holdfast_gameday run game_days/scenarios/region-loss.yaml $(ARGS)

test: preflight tools images  ## unit, contract, cluster and system tests
	@$(if $(ARGS),$(RUN) pytest $(ARGS),tests/all.sh $(RUN) pytest)

check: setup  ## style, types, layers, generated files
	@$(PHASE) "ruff" $(RUN) ruff check .
	@$(PHASE) "mypy" $(RUN) mypy
	@$(PHASE) "layers" $(RUN) lint-imports
	@$(PHASE) "generated CRDs are fresh" $(RUN) python -m holdfast.api.generate --check

unit: setup  ## the tests that need neither a cluster nor root, nor other programs
	@$(RUN) pytest -m "not cluster and not system and not programs" $(ARGS)

core: setup  ## the decision core's own tests, which must reach every branch of it
	@$(RUN) pytest tests/holdfast/core -q --cov=holdfast.core $(ARGS)

sim: setup  ## simulated fleets, SEEDS=200 of them (a failing one prints how to replay it)
	@$(RUN) holdfast-sim --seeds $(SEEDS) $(ARGS)

sim-docs: setup  ## write docs/simulation.md and its pictures from a run of SEEDS seeds
	@$(RUN) python -m holdfast_gameday.simulation.figures --seeds $(SEEDS) --write docs

cluster: preflight tools  ## the tests against one real kube-apiserver
	@$(RUN) pytest -m cluster $(ARGS)

system: preflight tools images  ## the tests on three real clusters
	@$(RUN) pytest -m system $(ARGS)

mutants: setup  ## put deliberate defects into the core, one at a time, and say who notices
	@$(RUN) python -m holdfast_gameday.mutants $(ARGS)

mutation: setup  ## how many small changes of the core its own tests notice (mutmut, on a copy)
	@$(RUN) python -m holdfast_gameday.mutation $(ARGS)

fuzz: setup  ## look for input that breaks a parser or a codec, a minute for each group of them (ARGS="--seconds 10")
	@PYTHONPATH=tests/support $(RUN) python tests/fuzz/run.py $(ARGS)

lab-up: preflight tools images  ## three real clusters, kept running
	@$(RUN) python -m holdfast_gameday.lab up $(ARGS)

lab-down: setup  ## take the lab away, whatever state it is in
	@$(RUN) python -m holdfast_gameday.lab down $(ARGS)

bench-idle: preflight tools images  ## memory and CPU of a region without calls (seven minutes)
	@$(RUN) python -m holdfast_gameday.idle $(ARGS)

scale: preflight tools  ## what a move costs with a thousand agents on real API servers (five minutes)
	@HOLDFAST_SCALE_AGENTS=1000 $(RUN) pytest -s tests/cluster/test_scale.py $(ARGS)

soak: preflight tools images  ## five quiet minutes and an hour of bad weather: nothing may be moved (ARGS="--weather 10")
	@$(RUN) python -m holdfast_gameday.soak $(ARGS)

soak-calls: preflight setup  ## an hour of calls that come and go while providers fail (ARGS="--minutes 4 --calls 60 --seed 1")
	@$(RUN) python -m holdfast_gameday.soak_calls $(ARGS)

bench-decide: setup  ## what it costs to decide for 5,000 and 20,000 agents at one moment (ARGS=--check)
	@$(RUN) python -m holdfast_gameday.bench_decide $(ARGS)

bench-failover: preflight tools images  ## how long failover takes, trial by trial; goes on where it stopped (ARGS="--at-most 2")
	@$(RUN) python -m holdfast_gameday.bench_failover $(ARGS)

bench-latency: setup  ## our share of the time from voice to voice, beside the same stages driven alone (three minutes)
	@$(RUN) python -m holdfast_gameday.bench_latency $(ARGS)

bench-bridge: preflight setup  ## how many calls a core carries, beside other bridges; goes on where it stopped (ARGS="--only holdfast")
	@UV=$(UV) $(RUN) python -m holdfast_gameday.bench_bridge $(ARGS)

matrix: setup  ## every speech provider against every other, under every way to fail (ARGS="--some 24")
	@$(RUN) python -m holdfast_gameday.matrix $(ARGS)

bench-cli: setup  ## how long the plugin takes to start (ARGS=--check)
	@$(RUN) python -m holdfast_gameday.bench_cli $(ARGS)

docs: setup explain-page  ## write what the pages of docs/ take from the code, and play every cut of docs/partitions.md
	@$(RUN) python -m holdfast_gameday.pages $(ARGS)

explain-page: setup  ## write the examples of docs/explain.md from the core's own decisions
	@PYTHONPATH=tests/support $(RUN) python tests/support/explain_page.py

crds: setup  ## write crds/ and the chart's copies from the models
	@$(RUN) python -m holdfast.api.generate

tools: setup
	@$(RUN) python -m holdfast_gameday.lab tools

images: setup
	@$(RUN) python -m holdfast_gameday.lab images

setup: $(UV)
	@$(PHASE) "Python packages" $(UV) sync --frozen --quiet

$(CACHE)/uv/bin/uv:
	@$(PHASE) "uv" game_days/install_uv.sh $(CACHE)/uv

preflight:
	@game_days/preflight.sh
