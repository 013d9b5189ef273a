# make run      the main job: import the real data, build the projection, show both
# make test     every test
# make example  the inventory platform, on a slice of the real data
# make bench    the figures of the README
# make interop  real Kafka clients against `tally serve`
# make bench-server  the figures of the server
# make bench-cluster the figures of clusters of three
# make simulate clusters under faults: make simulate SEEDS=10000
# make check    what must hold before a change goes in: format, layering, no warnings, tests
#
# All of them install what is missing first (see Tools/Checks/setup.sh).

SWIFT ?= swift
# Traits of the package: make run TRAITS=Gzip,Zstd. None by default, so that LZ4 and SQLite are all
# it needs. Tests are built with all of them; the example, a package of its own, with none.
TRAITS ?=
TEST_TRAITS ?= Gzip,Snappy,Zstd,Etcd
SOURCES := Package.swift Engine StateStore Tools Tests

.PHONY: run test example bench bench-server bench-cluster interop simulate check format layering lint setup setup-tests \
	release test-build example-build

run: release
	.build/release/tally demo

# The example is a package of its own, with its own folder to build in, which is kept.
EXAMPLE := --package-path Tools/InventoryPlatform --scratch-path .build/inventory-platform

test: test-build example-build
	@SWIFT="$(SWIFT)" TALLY_TRAITS="$(TEST_TRAITS)" sh Tools/Checks/test.sh
	@SWIFT="$(SWIFT)" sh Tools/Checks/test.sh $(EXAMPLE)

example: setup
	$(SWIFT) build $(EXAMPLE) --product inventory-platform
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && \
		.build/inventory-platform/debug/inventory-platform run \
			--rows fixtures/online-retail-slice.csv --data "$$data"

# Kafka's own clients, from Debian and PyPI; where they cannot be had it says so, and is not run.
# TALLY_REQUIRE_INTEROP=1 makes that a failure.
interop: test-build
	@sh Tests/Interop/run.sh .build/debug/tally || { code=$$?; [ $$code -eq 77 ] || exit $$code; }
	@sh Tests/Interop/run.sh .build/debug/tally --cluster || { code=$$?; [ $$code -eq 77 ] || exit $$code; }

# The server under librdkafka (librdkafka-dev), beside its limits.
bench-server: release
	@sh Tools/ServerBench/run.sh .build/release/tally

# Clusters on this machine, with the same client: replication, catching up, failover.
bench-cluster: release
	@sh Tools/ClusterBench/run.sh .build/release/tally

# Replication, in one thread from one seed: as many seeds as one likes. FLAW=name builds a mistake in.
SEEDS ?= 1000
FIRST ?= 1
simulate: setup
	$(SWIFT) build -c release --product TallySimulate
	.build/release/TallySimulate --first $(FIRST) --seeds $(SEEDS) $(if $(FLAW),--flaw $(FLAW))

bench: release
	.build/release/tally bench

# One after the other: what is quickest to fail comes first. Layering and style are among the tests
# too, but nobody should have to wait for all of them to hear of a line that is too long.
check: export TALLY_WARNINGS := error
check: setup
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory layering
	@$(MAKE) --no-print-directory test

lint: setup
	@$(SWIFT) format lint --strict --parallel --recursive $(SOURCES)
	@echo "lint: clean"

format: setup
	@$(SWIFT) format format --in-place --parallel --recursive $(SOURCES)

layering: test-build
	@SWIFT="$(SWIFT)" TALLY_TRAITS="$(TEST_TRAITS)" sh Tools/Checks/test.sh \
		--filter 'ScenarioTests.(LayeringTests|StyleTests)'

release: setup
	$(SWIFT) build -c release --product tally $(if $(TRAITS),--traits $(TRAITS))

test-build: setup-tests
	$(SWIFT) build --build-tests $(if $(TEST_TRAITS),--traits $(TEST_TRAITS))

example-build: setup
	$(SWIFT) build --build-tests $(EXAMPLE)

setup:
	@sh Tools/Checks/setup.sh "$(TRAITS)"

setup-tests:
	@sh Tools/Checks/setup.sh "$(TEST_TRAITS)"
	@case ,$(TEST_TRAITS), in *,Etcd,*) sh Tools/Checks/etcd.sh ;; esac
