# All targets of this project; `make` without a target lists them. Downloads go to .tools/, builds to build/ and .aws-sam/;
# git ignores all three.

FUNCTIONS := $(notdir $(wildcard functions/*))

# The processor to build and deploy for: arm64 or x86_64. Go has another name for the second. If none is given,
# a stack keeps the one in samconfig.toml.
CHOSEN_ARCHITECTURE := $(ARCHITECTURE)
ARCHITECTURE ?= arm64
GOARCH_OF_arm64  := arm64
GOARCH_OF_x86_64 := amd64
ifndef GOARCH_OF_$(ARCHITECTURE)
$(error ARCHITECTURE is $(ARCHITECTURE); it can be arm64 or x86_64)
endif

# What `make deploy` deploys: the stack, template parameters other than their defaults, tags for everything in it, and
# the output of `sam build`, if it exists already. With GUIDED=yes SAM asks for them, with GUIDED=no it does not.
STACK ?= dcv-session-broker
PARAMETERS ?=
TAGS ?=
BUILT ?=
GUIDED ?=
SAMCONFIG ?= samconfig.toml

# For the operator's commands: URL is a system on one machine, instead of the stack. HOSTS are for doctor, the others for
# delete-stack.
URL ?=
HOSTS ?=
TABLE ?= keep
CONFIRM ?=

# Static programs without debug information. With the tag, Lambda's library omits net/rpc. The programs do not depend on the
# machine or the commit: the same code gives the same package, and is deployed only once.
LAMBDA_BUILD := CGO_ENABLED=0 GOFLAGS='-tags=lambda.norpc -trimpath -ldflags=-s -buildvcs=false'

# Go would ask git for the commit, and fail if the checkout belongs to another user.
GOFLAGS += -buildvcs=false
export GOFLAGS

# The pinned SAM CLI, fetched when it is first needed.
SAM = SAM_CLI_TELEMETRY=0 "$$(.ci/tools/fetch python)/bin/sam"

.DEFAULT_GOAL := help
.PHONY: help run test story sim bench bench-quick bench-flood bench-fleet bench-hosts cost profile documents picture ci fmt vet lint prose shellcheck test-all validate service-models page \
  mutants sam-build sam-invoke fuzz clients schemathesis operation stack-test readme release build deploy smoke doctor redrive delete-stack \
  dcvbroker bench-program tools clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##### On one machine

# The program is built and then replaces make, so that signals reach it: go run would pass on only some.
run: ## Start the whole system here: PORT=8080, STORE=memory or dynamodb (needs Java 17 and Maven)
	@echo 'Building (the first time takes a minute or more) ...'
	@go build -o build/local ./internal/local
	@go build -ldflags=-s -o build/dcvbroker ./internal/operate
ifeq ($(STORE),dynamodb)
	@DYNAMODB_LOCAL_LIB="$$(.ci/tools/fetch dynamodb-local)" && export DYNAMODB_LOCAL_LIB && exec build/local
else
	@exec build/local
endif

test: ## Run the tests that this machine has the tools for, and say which were left out
	@.ci/go/test

SCENARIOS_IN_memory    := InMemory
SCENARIOS_IN_dynamodb  := OnDynamoDB
SCENARIOS_IN_functions := WithBuiltFunctions

story: ## Run a story of internal/local/system/testdata and print it: NAME=example, STORE=memory, dynamodb or functions
ifndef SCENARIOS_IN_$(or $(STORE),memory)
	$(error STORE is $(STORE); for a story it can be memory, dynamodb or functions)
endif
	@[ -z "$(filter dynamodb functions,$(STORE))" ] || export DYNAMODB_LOCAL_LIB="$$(.ci/tools/fetch dynamodb-local)"; \
	  REQUIRE_ALL=1 go test ./internal/local/system -count=1 -v -run '^TestScenarios$(SCENARIOS_IN_$(or $(STORE),memory))$$/^$(NAME)$$'

# It is a program of its own, so that it can be interrupted and shows its progress. Every call of a function is a short goroutine: those begin with
# as much stack as they had on average, rather than copy it as it grows, which takes a tenth of the time.
sim: | build/ ## Simulate the whole system with faults, until interrupted: SEEDS=100000, FROM=1; SEED=4711 replays one
	@go test -c -vet=off -o build/sim.test ./internal/sim
	@cd internal/sim && exec env GODEBUG=adaptivestackstart=1 ../../build/sim.test -test.run '^TestSeeds$$' -test.timeout 0 \
	  $(if $(SEED),-sim.seed=$(SEED),-sim.progress -sim.seeds=$(or $(SEEDS),0) -sim.from=$(or $(FROM),1))

##### How fast

# The benchmark replaces make, as in run. Its Python baseline needs boto3, which comes with the SAM CLI.
bench: bench-program ## Measure, next to what one would write otherwise: about 6 minutes; QUICK=1: one. KEEP=1 keeps the figures
	@DYNAMODB_LOCAL_LIB="$$(.ci/tools/fetch dynamodb-local)" && PATH="$$(.ci/tools/fetch python)/bin:$$PATH" \
	  && export DYNAMODB_LOCAL_LIB PATH && exec build/bench/bench

bench-quick: | build/ ## The same, to see that it works
	@QUICK=1 $(MAKE) --no-print-directory bench >build/bench-quick.log || { cat build/bench-quick.log; exit 1; }

bench-flood: bench-program ## Measure cleanup's deletions and inventory where one host has flooded the table of 10,000: a minute
	@AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256 exec build/bench/bench flood

bench-fleet: | build/ ## Simulate 10 to 10,000 hosts under Systems Manager's rates: WHAT=inventories, deletion, rule, memory; minutes
	@go test -c -o build/bench-fleet.test ./internal/bench
	@cd internal/bench && exec ../../build/bench-fleet.test -test.run '^TestFleetFigures$$' -test.timeout 0 -fleet '$(or $(WHAT),all)'

bench-hosts: bench-program ## Measure what the scripts take that hosts run: two minutes. KEEP=1 keeps it, in internal/bench/FIGURES.md
	@exec build/bench/bench hosts

cost: bench-program ## Say what a stack costs in a month, idle and with hosts. KEEP=1 keeps it, in internal/operate/DEPLOYING.md
	@exec build/bench/bench cost

profile: bench-program ## Profile an answer, for 25 and 1,000 sessions: the parts of its processor time, and build/profiles/
	@exec build/bench/bench profile

bench-program: | build/
	@go build -o build/bench/bench ./internal/bench

documents: ## Write the scripts that hosts run into template.yaml, from internal/runcommand/documents
	@go run ./internal/runcommand/documents/generate

picture: ## Paint the pictures of README.md: the page, and, as root, with what the tests on an X server need, a warning
	@.ci/page/check picture
	@REQUIRE_ALL=1 go test -vet=off ./internal/runcommand/documents -count=1 -run '^TestWarningOnAnXServer$$' -args -picture=warning.png

##### All checks

# What the checks build is built as the functions are, without cgo and with -trimpath: the AWS SDK and the standard library are
# then compiled once for both, and not twice, which takes minutes of processor time where Go's cache is empty.
ci: ## Run every check, leaving nothing out; installs what is missing (Debian packages only as root)
	@.ci/tools/fetch debian
	@$(MAKE) --no-print-directory -j2 tools
	@CGO_ENABLED=0 GOFLAGS='$(GOFLAGS) -trimpath' SEEDS=$(or $(SEEDS),20000) .ci/checks fmt lint prose shellcheck \
	  -- test-all -- sam-build sam-invoke operation stack-test clients schemathesis page readme bench-quick -- nice validate service-models sim fuzz

fmt: ## Check that the Go code is formatted
	@unformatted=$$(gofmt -l functions internal .ci) && \
	test -z "$$unformatted" || { echo "gofmt -w these:" $$unformatted; exit 1; }

vet: ## Run go vet, which is a part of lint
	@go vet ./...

# There is enough memory: with Go's default a quarter of its processor time goes into garbage collection.
lint: ## Run golangci-lint, go vet's analyzers among it (settings: .golangci.yml)
	@GOGC=$(or $(GOGC),400) "$$(.ci/tools/fetch golangci-lint)" run ./...

prose: ## Find words and phrases in all texts that make them hard to read
	@.ci/prose/check

shellcheck: ## Check the shell scripts, those that hosts run among them
	@.ci/scripts/shellcheck

validate: ## Check template.yaml: SAM, cfn-lint, rules of our own on what SAM makes of it; and the workflows
	@.ci/template/check
	@.ci/workflows/check

service-models: ## Hold the simulated Systems Manager and EC2 against AWS's models of them
	@.ci/aws/check

sam-build: | build/ ## Build the functions with SAM for both processors
	@# SAM runs a `go build` for each function, all at the same time. What they share is compiled before, once; a build of
	@# the functions themselves would link them, too. The compiler has memory to spare, as lint.
	@for architecture in arm64 x86_64; do \
	  case $$architecture in arm64) GOARCH=arm64 ;; x86_64) GOARCH=amd64 ;; esac; \
	  $(LAMBDA_BUILD) GOOS=linux GOARCH=$$GOARCH GOGC=$(or $(GOGC),400) \
	    sh -c 'go build $$(go list -f "{{range .Imports}}{{.}} {{end}}" ./functions/...)' || exit 1; \
	  $(LAMBDA_BUILD) $(SAM) build --build-dir .aws-sam/$$architecture \
	    --parameter-overrides Architecture=$$architecture >build/sam-build.log 2>&1 \
	    || { cat build/sam-build.log; exit 1; }; \
	done

sam-invoke: ## Run every sample event through its function with sam local (after sam-build)
	@.ci/invoke/check

test-all: ## Run the tests with the race detector, and fail where a tool is missing
	@REQUIRE_ALL=1 .ci/go/test

mutants: ## Show that the simulation catches deliberate bugs, each within MUTANT_SEEDS=50000; ONLY=pattern chooses, KEEP=1 keeps
	@go run ./internal/sim/mutants -seeds $(or $(MUTANT_SEEDS),50000) $(if $(ONLY),-only "$(ONLY)") $(if $(KEEP),-keep)

fuzz: | build/ ## Run each fuzz target for FUZZTIME=5000x inputs; ONLY=pattern chooses
	@ONLY='$(ONLY)' .ci/go/fuzz

clients: ## Generate a Python and a Go client from the contract, and run them against the local system
	@.ci/clients/check

schemathesis: ## Send the local system whatever the contract allows and forbids, for a minute
	@.ci/clients/schemathesis

page: ## Open the page in Chromium, and work with it as a person would
	@.ci/page/check

readme: ## Run the commands of all documents (*.md), and compare what they print
	@.ci/readme/check

operation: ## Deploy to a stand-in for AWS, and run the operator's commands against the local system (after sam-build)
	@.ci/deployment/check

stack-test: ## Deploy to an emulator of AWS, and use the stack: from make deploy to DELETED and make delete-stack
	@.ci/stack/check

##### In AWS

build: $(FUNCTIONS:%=build-%) ## Build each function's bootstrap into build/ARCHITECTURE/
build-%:
	@$(LAMBDA_BUILD) GOOS=linux GOARCH=$(GOARCH_OF_$(ARCHITECTURE)) \
	  go build -o build/$(ARCHITECTURE)/$*/bootstrap ./functions/$*

release: | build/ ## Build for both processors, and dcvbroker for PLATFORMS='linux/arm64 ...', twice, compare, and pack
	@.ci/deployment/release

deploy: ## Build and deploy, guided the first time: STACK=name, ARCHITECTURE=arm64, PARAMETERS='Key=Value ...', TAGS=...
	@$(LAMBDA_BUILD) SAM_CLI_TELEMETRY=0 STACK='$(STACK)' ARCHITECTURE='$(CHOSEN_ARCHITECTURE)' BUILT='$(BUILT)' \
	  GUIDED='$(GUIDED)' SAMCONFIG='$(SAMCONFIG)' \
	  "$$(.ci/tools/fetch python)/bin/python" .ci/deployment/deploy.py --parameters $(PARAMETERS) --tags $(TAGS)

# The address of a system on one machine replaces the stack.
SYSTEM = $(if $(URL),--url '$(URL)',--stack '$(STACK)')

smoke: dcvbroker ## Try a broker out, from token to DELETED: STACK=name, or URL=http://127.0.0.1:8080 for the local system
	@build/dcvbroker smoke $(SYSTEM)

doctor: dcvbroker ## Say host by host what is missing, and the command that fixes it: STACK=name, HOSTS='i-... i-...'
	@build/dcvbroker doctor $(SYSTEM) $(HOSTS)

redrive: dcvbroker ## Put the dead letters of host-events back into its queue: STACK=name
	@build/dcvbroker redrive --stack '$(STACK)'

delete-stack: dcvbroker ## Delete a stack, after asking: STACK=name, CONFIRM=name, TABLE=delete if its table is to go too
	@build/dcvbroker delete-stack --stack '$(STACK)' --table '$(TABLE)' $(if $(CONFIRM),--confirm '$(CONFIRM)')

dcvbroker: | build/ ## Build build/dcvbroker, the program for those who run a fleet
	@go build -ldflags=-s -o build/dcvbroker ./internal/operate

##### The rest

TOOLS := golangci-lint actionlint python clients readme page stack dynamodb-local openapi-generator

tools: $(TOOLS:%=tool-%) ## Fetch all tools now rather than when they are first needed; with -j2 two at a time
tool-%:
	@.ci/tools/fetch $* >/dev/null
tool-openapi-generator: | tool-dynamodb-local # both use Maven, which must not run twice at the same time

clean: ## Remove what was built; the tools stay (they are in .tools/)
	rm -rf build .aws-sam

build/:
	@mkdir -p $@
