# The one entrance, for people and for CI: `make help` lists what there is.
#
# Settings go on the command line or into the environment: KAFKA_HOME, KAFKA_BOOTSTRAP_SERVERS, FINNHUB_TOKEN_FILE,
# SYMBOLS, RATE, TRADES, SCENARIOS, TEST_WIDTH, FUZZ_SECONDS, KILLS, OUTAGE, SECONDS, SEED. Make hands both on to the
# programs.

.DEFAULT_GOAL := help
.PHONY: help setup build run clean-run test test-kafka e2e feed-faults kills outage chaos mutants fuzz bench \
	lint docs docs-check format clean

TRADES ?= 100000
SECONDS ?= 180

ifdef KAFKA_HOME
override KAFKA_HOME := $(shell realpath -m -- "$(KAFKA_HOME)")
export KAFKA_HOME
endif

SWIFT_FILES := Package.swift Sources Tests deploy
# The suites that talk to a broker, but for those of the whole pipeline.
KAFKA_TESTS := KafkaTests|ExactlyOnceTests|LocalServersTests|IntegrationTests|FailpointTests|FeedFaultTests
# These come one after the other, since each takes a machine: beside all others, or they would be the end of every run.
END_TO_END := EndToEndTests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages (as root), a word where Swift comes from
	@deploy/local/setup.sh

build: setup ## build all programs (release)
	swift build -c release

run: build ## run the whole pipeline here; with KAFKA_HOME=… or KAFKA_BOOTSTRAP_SERVERS=… on a real Kafka
	@exec .build/release/local-pipeline

clean-run: ## forget the data of make run
	@deploy/local/clean-run.sh

test: setup ## run all tests, on the embedded broker
	@deploy/local/setup.sh promtool pgbouncer
	swift build --build-tests
	@env -u KAFKA_HOME -u KAFKA_BOOTSTRAP_SERVERS deploy/local/test.sh \
		--skip '^$(END_TO_END)\.' -- --filter '^$(END_TO_END)\.'

test-kafka: setup ## run the tests that talk to a broker on a real Kafka: make test-kafka KAFKA_HOME=…
	@test -n "$$KAFKA_HOME" || { echo "KAFKA_HOME=… must name an unpacked Kafka distribution" >&2; exit 1; }
	@deploy/local/setup.sh java promtool pgbouncer
	swift build --build-tests
	@deploy/local/test.sh --filter '^($(KAFKA_TESTS))\.' -- --filter '^$(END_TO_END)\.'

e2e: setup ## send TRADES=100000 trades from feed to tables and compare
	swift build --build-tests
	@TICKSTREAM_E2E_TRADES=$(TRADES) deploy/local/test.sh --filter '^$(END_TO_END)\.'

feed-faults: setup ## play each scenario of a faulty feed to the producer, or SCENARIOS=http-,tls-expired; with KAFKA_HOME=…
	@test -z "$$KAFKA_HOME" || deploy/local/setup.sh java
	swift build --build-tests
	@deploy/local/test.sh --filter '^FeedFaultTests\.'

kills: build ## kill producer and broker in turn, KILLS=100 times at RATE=5000 trades/s, and prove: KAFKA_HOME=…
	@deploy/local/setup.sh java
	@exec .build/release/campaigns kills

outage: build ## take Kafka away for OUTAGE=600 s at RATE=20000 trades/s, and prove: KAFKA_HOME=…
	@deploy/local/setup.sh java
	@exec .build/release/campaigns outage

chaos: build ## break readers, database and broker at random for SECONDS=180 at RATE=4000 trades/s, and prove: KAFKA_HOME=…
	@deploy/local/setup.sh java
	@exec env SECONDS=$(SECONDS) .build/release/campaigns chaos

mutants: setup ## break what exactly once rests on, one thing at a time, and have tests notice: KAFKA_HOME=…
	@test -n "$$KAFKA_HOME" || { echo "KAFKA_HOME=… must name an unpacked Kafka distribution" >&2; exit 1; }
	@deploy/local/setup.sh java
	swift build --build-tests
	@Tests/Mutants/run.sh

fuzz: setup ## feed what reads outside bytes, and the encoders, with random ones, FUZZ_SECONDS=60 a target
	@Tests/Fuzzing/run.sh

bench: build ## measure throughput beside the limits of this machine; on a real Kafka with KAFKA_HOME=…
	@test -z "$$KAFKA_HOME" || deploy/local/setup.sh java
	@exec .build/release/bench

lint: ## check the format
	swift format lint --strict --parallel --recursive $(SWIFT_FILES)

docs: build ## write docs/configuration.md anew from the programs
	deploy/local/configuration-docs.sh > docs/configuration.md

docs-check: build ## check that docs/configuration.md says what the programs say
	deploy/local/configuration-docs.sh | diff -u docs/configuration.md -

format: ## mend the format
	swift format --in-place --parallel --recursive $(SWIFT_FILES)

clean: ## remove what was built
	rm -rf .build
