# fasttier: `make` lists the targets. Every target sets up first (instant when nothing changed).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
export FASTTIER_HOME ?= data
# Set on make's command line; an environment variable of such a name picks nothing by accident.
KIND =
PYTHON =
ARGS =
TASK =
LOG =
PORT = 5000
WHEELS = wheels
MODEL = $(if $(GPU),qwen2.5-7b,smollm2-135m)
GPU = $(shell nvidia-smi -L 2>/dev/null | head -1)
PYTEST = $(BIN)/python -m pytest
NO_GPU = $(if $(GPU),, and not gpu)
# Processes that share the unit tests.
JOBS = $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n < 8 ? n : 8)))

.PHONY: bench-fidelity check-clients check-gpu check-gpu-wheels profile bench-alerts bench-classifier bench-costs bench-decision bench-profile bench-fuzz bench-ingest bench-plan help setup dev demo bench-router bench-train bench-evidence test test-unit test-integration lint format train mlflow pins check-pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what fits this machine and say what was picked (KIND=cpu|gpu-train|gpu-serve|analysis|router, PYTHON=...)
	@KIND="$(KIND)" PYTHON="$(PYTHON)" requirements/setup.sh

dev: setup
	@test -x $(BIN)/ruff || { echo "make: .venv holds no tools of development: make setup KIND=cpu" >&2; exit 2; }

test: lint test-unit test-integration ## set up, lint and run all tests, a real training and a real vLLM included

test-unit: dev ## run the unit tests (about a minute on two cores; JOBS=1: in one process; ARGS="-k ingest" goes to pytest)
	$(PYTEST) tests/unit -m "not slow$(NO_GPU)" -n $(JOBS) --dist worksteal $(ARGS)

# Two processes: one trains and serves on all cores, the other has what waits most of the time. Threads that wait for one
# another by spinning would take the other's core.
test-integration: dev ## run the tests that use the real parts, and the slow unit tests (minutes)
	OMP_NUM_THREADS=$$(getconf _NPROCESSORS_ONLN) OMP_WAIT_POLICY=PASSIVE \
		$(PYTEST) tests -m "(integration or slow)$(NO_GPU)" -n $(if $(filter 1,$(JOBS)),1,2) --dist loadscope $(ARGS)

lint: dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev ## let ruff mend and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: setup ## the whole loop on an invented company's log with a real small LLM, in data-demo (minutes)
	$(BIN)/fasttier loop --home data-demo $(ARGS)

profile: ## where the money goes in LOG=file and what is waste, in a light environment (without LOG: the demo's log)
	@test -x $(BIN)/fasttier || KIND=analysis PYTHON="$(PYTHON)" requirements/setup.sh
	@test -n "$(LOG)" || $(BIN)/python -m demo.traffic data-demo/demo/traffic.jsonl
	$(BIN)/fasttier ingest $(or $(LOG),data-demo/demo/traffic.jsonl) --home $(if $(LOG),$(FASTTIER_HOME),data-demo)
	$(BIN)/fasttier profile --home $(if $(LOG),$(FASTTIER_HOME),data-demo) $(ARGS)

train: setup ## fine-tune MODEL=qwen2.5-7b|llama-3.1-8b|smollm2-135m on TASK=... (default the newest dataset; ARGS=--dry-run)
	$(BIN)/fasttier train --config configs/train/$(MODEL).yaml $(if $(TASK),--dataset $(TASK)) $(ARGS)

mlflow: setup ## look at the runs of this home on http://127.0.0.1:5000 (PORT=...)
	@case "$$MLFLOW_TRACKING_URI" in http*) \
		echo "make: MLFLOW_TRACKING_URI is set: the runs are at $$MLFLOW_TRACKING_URI" >&2; exit 2;; esac
	@mkdir -p "$(FASTTIER_HOME)"
	$(BIN)/mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(abspath $(FASTTIER_HOME))/mlflow.db}" \
		--default-artifact-root "$(abspath $(FASTTIER_HOME))/mlartifacts"

bench-fuzz: dev ## the property tests of tests/unit with 2,000 examples each, new ones every time
	HYPOTHESIS_PROFILE=campaign $(BIN)/python -m pytest tests/unit -m "hypothesis and not gpu" -n $(JOBS) $(ARGS)

bench-router: setup ## latency and CPU that the router adds, beside haproxy, vllm-router and LiteLLM (ARGS="--quick --beside CHECKOUT --json FILE")
	$(BIN)/python -m benchmarks.router $(ARGS)

check-clients: setup ## Codex, Claude Code and LiteLLM's SDK against the router (installs 650 MB under ~/.cache/fasttier once)
	@$(BIN)/python -m benchmarks.clients $(ARGS)

bench-fidelity: setup ## what survives between every client and endpoint dialect, by the real SDKs; into docs/router.md (ARGS=--check)
	$(BIN)/python -m benchmarks.fidelity $(ARGS)

bench-ingest: dev ## import speed and memory beside DuckDB's read_json (ARGS="--mb 100 1000 5000 --json"; default 100 MB)
	$(BIN)/python -m benchmarks.ingest $(ARGS)

bench-plan: setup ## the training plan beside published figures (ARGS=--cpu: beside real steps here; --fit; --json)
	$(BIN)/python -m benchmarks.plan $(ARGS)

bench-evidence: setup ## simulate the gate's and the calibration's error rates (ARGS="--scale 0.1 --routellm FOLDER --json")
	$(BIN)/python -m benchmarks.evidence $(ARGS)

bench-train: setup ## training speed, memory and score beside plain TRL defaults, lever by lever (ARGS="--json FILE", minutes)
	$(BIN)/python -m benchmarks.train $(ARGS)

check-gpu: ## check training on this GPU in ten minutes (ARGS="--json FILE --wheels FOLDER"; --tiny: on a CPU too)
	$(or $(PYTHON),$(wildcard $(BIN)/python),python3) -m benchmarks.gpu $(ARGS)

check-gpu-wheels: ## wheels for a check on a bare box without a network, in WHEELS=folder (ARGS="--python 3.12 --have pyarrow,pandas")
	$(or $(wildcard $(BIN)/python),python3) -m benchmarks.gpu.wheels $(WHEELS) $(ARGS)

bench-profile: setup ## profile of 100,000 and 1 M records beside a plain aggregation (ARGS="--records N --json FILE")
	$(BIN)/python -m benchmarks.profile_log $(ARGS)

bench-alerts: setup ## false alarms in simulation and on a log's first week, and planted changes (ARGS="--log FILE --json FILE")
	$(BIN)/python -m benchmarks.alerts $(ARGS)

bench-decision: setup ## the routing decision beside json.loads of the same body (ARGS="--home DIR --json FILE")
	$(BIN)/python -m benchmarks.decision $(ARGS)

bench-classifier: setup ## latency of a home's classifier beside the hosted model's (ARGS="--home DIR --classifier TASK")
	$(BIN)/python -m benchmarks.classifier_latency $(ARGS)

bench-costs: setup ## costs of a store of 10 M records, first and again (ARGS="--records N --json FILE")
	$(BIN)/python -m benchmarks.costs $(ARGS)

pins: ## resolve requirements/*.txt anew (PINS="--upgrade" or "--upgrade-package trl")
	$(BIN)/python requirements/compile.py $(PINS)

check-pins: ## check that the pins resolve on Linux x86_64, Linux aarch64 and macOS arm64, each Python version
	$(BIN)/python requirements/compile.py --check

clean: ## remove caches and build outputs; data and environments stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
