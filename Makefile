# make demo and make test are all that a fresh machine with Python 3.11 and Go 1.26 needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINE := aksp/_bin/aksp-engine
# Of today: every day other policies are tried.
SEED := $(or $(AKSP_ENGINE_SEED),$(shell date -u +%Y%m%d))
TESTBED := $(or $(AKSP_TESTBED_DIR),$(HOME)/.cache/aksp/testbed)
# Built once for a machine, and not within a test, where one process would wait for what the other needs the processors for.
TOOLS = $(BIN)/python -c "from tests.charts.helm import helm, kustomize; print(helm(), kustomize())"
PEERS := $(or $(AKSP_PEERS_DIR),$(HOME)/.cache/aksp/peers)

.PHONY: demo test unit quick fuzz pages e2e lint engine golden bench wheel docs clean

demo: $(VENV)/.installed $(ENGINE)
	@PATH="$(CURDIR)/$(BIN):$$PATH" examples/demo.sh

test: lint unit fuzz pages e2e wheel

$(VENV)/.installed: pyproject.toml setup.py | $(ENGINE)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

engine: $(ENGINE)

$(ENGINE): $(wildcard engine/*.go engine/plan/*.go) $(wildcard engine/*.json) engine/go.mod engine/go.sum
	@mkdir -p $(@D)
	cd engine && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o ../$@ .

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	test -z "$$(gofmt -l engine)" || { gofmt -d engine; exit 1; }
	cd engine && go vet ./...
	cd engine/tools && GOBIN="$(CURDIR)/$(BIN)" go install tool
	cd engine && "$(CURDIR)/$(BIN)/staticcheck" ./...

unit: $(VENV)/.installed $(ENGINE)
	@echo "AKSP_ENGINE_SEED=$(SEED): the seed of the random policies"
	cd engine && AKSP_ENGINE_SEED="$(SEED)" go test -race -timeout 30m ./...
	cd engine && AKSP_ENGINE_SEED="$(SEED)" go test ./...
	$(TOOLS)
	AKSP_ENGINE_EVALUATOR=both $(BIN)/pytest -n 2 tests/compliance tests/catalog
	$(BIN)/pytest -n 2 --dist worksteal --ignore=tests/e2e --ignore=tests/pages

# The tests of Python without those that are marked slow.
quick: $(VENV)/.installed $(ENGINE)
	$(TOOLS)
	$(BIN)/pytest -n 2 --dist worksteal --ignore=tests/e2e --ignore=tests/pages -m "not slow"

# Random inputs, a minute for each kind, with a seed that is printed; an hour in all with AKSP_FUZZ_SECONDS=1200.
fuzz: $(VENV)/.installed $(ENGINE)
	$(BIN)/python tests/fuzz.py

# The HTML report in Chromium, which is installed where it is missing: never skipped.
pages: $(VENV)/.installed $(ENGINE)
	tests/pages/chromium.sh
	AKSP_E2E_REQUIRED=1 $(BIN)/pytest tests/pages

e2e: $(VENV)/.installed $(ENGINE)
	$(BIN)/python tests/testbed/build.py --into "$(TESTBED)"
	$(BIN)/python bench/peers/build.py --gatekeeper --into "$(PEERS)"
	$(TOOLS)
	AKSP_TESTBED_DIR="$(TESTBED)" AKSP_PEERS_DIR="$(PEERS)" AKSP_GATOR="$(PEERS)/gator" \
		$(BIN)/pytest -n 2 --dist loadfile tests/e2e

wheel: $(VENV)/.installed
	$(BIN)/python tests/wheel.py

golden: $(VENV)/.installed
	$(BIN)/pytest --update-golden tests/report

docs: $(VENV)/.installed $(ENGINE)
	$(BIN)/python docs/picture.py
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/catalogue.py

bench: $(VENV)/.installed $(ENGINE)
	$(BIN)/python bench/run.py

clean:
	rm -rf $(VENV) build dist *.egg-info aksp/_bin
