# fasttier: `make` lists the targets. Every target sets up first (instant when nothing changed).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
export FASTTIER_HOME ?= data
# Only from make's command line: environment variables of the same name are ignored.
KIND =
PYTHON =
WHOLE =
ARGS =
TASK =
LOG =
MAPPING =
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

setup: ## install the environments that fit this machine and print the choice (KIND=cpu|gpu-train|gpu-serve|analysis|router, PYTHON=...)
	@KIND="$(KIND)" PYTHON="$(PYTHON)" WHOLE="$(WHOLE)" requirements/setup.sh

# These train or test: the light environment of `make profile` is not enough.
demo train bench-train dev: WHOLE = 1
dev: setup
	@test -x $(BIN)/ruff || { echo "make: .venv holds no tools of development: make setup KIND=cpu" >&2; exit 2; }

test: lint test-unit test-integration ## set up, lint and run all tests, including a real training and a real vLLM

test-unit: dev ## run the unit tests (about a minute on two cores; JOBS=1: in one process; ARGS="-k ingest" goes to pytest)
	$(PYTEST) tests/unit -m "not slow$(NO_GPU)" -n $(JOBS) --dist worksteal $(ARGS)

# Two processes: one trains and serves on all cores, the other runs tests that mostly wait. Spinning threads would take
# the other process's core. In the order of the folders, so that the long files do not come last.
test-integration: dev ## run the tests that use the real parts, and the slow unit tests (minutes)
	OMP_NUM_THREADS=$$(getconf _NPROCESSORS_ONLN) OMP_WAIT_POLICY=PASSIVE \
		$(PYTEST) tests -m "(integration or slow)$(NO_GPU)" -n $(if $(filter 1,$(JOBS)),1,2) --dist loadscope --no-loadscope-reorder $(ARGS)

lint: dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev ## fix and format the code with ruff
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: setup ## the whole loop on an invented company's log with a real small LLM, in data-demo (minutes)
	$(BIN)/fasttier loop --home data-demo $(ARGS)

profile: ## cost, waste and projection of LOG=file, in a light environment (default: the demo's log; MAPPING=file: own format)
	@test -x $(BIN)/fasttier || KIND=analysis PYTHON="$(PYTHON)" requirements/setup.sh
	@test -n "$(LOG)" || $(BIN)/python -m demo.traffic data-demo/demo/traffic.jsonl
	$(BIN)/fasttier ingest $(or $(LOG),data-demo/demo/traffic.jsonl) --home $(if $(LOG),$(FASTTIER_HOME),data-demo) $(if $(MAPPING),--config $(MAPPING))
	$(BIN)/fasttier profile --home $(if $(LOG),$(FASTTIER_HOME),data-demo) $(ARGS)

train: setup ## fine-tune MODEL=qwen2.5-7b|llama-3.1-8b|smollm2-135m on TASK=... (default: the newest dataset; ARGS=--dry-run)
	$(BIN)/fasttier train --config configs/train/$(MODEL).yaml $(if $(TASK),--dataset $(TASK)) $(ARGS)

mlflow: setup ## show the runs of this home on http://127.0.0.1:5000 (PORT=...)
	@case "$$MLFLOW_TRACKING_URI" in http*) \
		echo "make: MLFLOW_TRACKING_URI is set: the runs are at $$MLFLOW_TRACKING_URI" >&2; exit 2;; esac
	@mkdir -p "$(FASTTIER_HOME)"
	$(BIN)/mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(abspath $(FASTTIER_HOME))/mlflow.db}" \
		--default-artifact-root "$(abspath $(FASTTIER_HOME))/mlartifacts"

bench-fuzz: dev ## property tests of tests/unit, 2,000 new examples each
	HYPOTHESIS_PROFILE=campaign $(BIN)/python -m pytest tests/unit -m "hypothesis and not gpu" -n $(JOBS) $(ARGS)

bench-router: setup ## latency and CPU added by the router, against haproxy, vllm-router and LiteLLM (ARGS="--quick --beside CHECKOUT --json FILE")
	$(BIN)/python -m benchmarks.router $(ARGS)

check-clients: setup ## Codex, Claude Code and LiteLLM's SDK against the router (installs 650 MB under ~/.cache/fasttier once)
	@$(BIN)/python -m benchmarks.clients $(ARGS)

bench-fidelity: setup ## what each pair of client and endpoint dialects preserves, with the real SDKs; updates docs/router.md (ARGS=--check)
	$(BIN)/python -m benchmarks.fidelity $(ARGS)

bench-ingest: dev ## import speed and memory against DuckDB's read_json (ARGS="--mb 100 1000 5000 --json"; default 100 MB)
	$(BIN)/python -m benchmarks.ingest $(ARGS)

bench-plan: setup ## the training plan against published figures (ARGS=--cpu: against real steps here; --fit; --json)
	$(BIN)/python -m benchmarks.plan $(ARGS)

bench-evidence: setup ## simulate the gate's and the calibration's error rates (ARGS="--scale 0.1 --routellm FOLDER --json")
	$(BIN)/python -m benchmarks.evidence $(ARGS)

bench-train: setup ## training speed, memory and score against plain TRL defaults, setting by setting (ARGS="--json FILE", minutes)
	$(BIN)/python -m benchmarks.train $(ARGS)

check-gpu: ## check training on this GPU in ten minutes (ARGS="--json FILE --wheels FOLDER"; --tiny: on a CPU too)
	$(or $(PYTHON),$(wildcard $(BIN)/python),python3) -m benchmarks.gpu $(ARGS)

check-gpu-wheels: ## wheels for a check on a bare machine without a network, in WHEELS=folder (ARGS="--python 3.12 --have pyarrow,pandas")
	$(or $(wildcard $(BIN)/python),python3) -m benchmarks.gpu.wheels $(WHEELS) $(ARGS)

bench-profile: setup ## profile of 100,000 and 1 M records against a plain aggregation (ARGS="--records N --json FILE")
	$(BIN)/python -m benchmarks.profile_log $(ARGS)

bench-alerts: setup ## false alarms in simulation and on a log's first week, and planted changes (ARGS="--log FILE --json FILE")
	$(BIN)/python -m benchmarks.alerts $(ARGS)

bench-decision: setup ## time of the routing decision against json.loads of the same body (ARGS="--home DIR --json FILE")
	$(BIN)/python -m benchmarks.decision $(ARGS)

bench-classifier: setup ## latency of a home's classifier against the hosted model's (ARGS="--home DIR --classifier TASK")
	$(BIN)/python -m benchmarks.classifier_latency $(ARGS)

bench-costs: setup ## `fasttier costs` of a store of 10 M records, first and repeated (ARGS="--records N --json FILE")
	$(BIN)/python -m benchmarks.costs $(ARGS)

pins: ## resolve requirements/*.txt again (PINS="--upgrade" or "--upgrade-package trl")
	$(BIN)/python requirements/compile.py $(PINS)

check-pins: ## check that the pins resolve on Linux x86_64, Linux aarch64 and macOS arm64, each Python version
	$(BIN)/python requirements/compile.py --check

clean: ## remove caches and build outputs, keep data and environments
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
