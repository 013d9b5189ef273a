# make run    the main job: import the real data, build the projection, show both
# make test   every test
# make bench  the figures of the README
# make check  what must hold before a change goes in: format, layering, no warnings, tests
#
# All of them install what is missing first (see Tools/Checks/setup.sh).

SWIFT ?= swift
SOURCES := Package.swift Engine StateStore Tools Tests

.PHONY: run test bench check format layering lint setup release test-build

run: release
	.build/release/tally demo

test: test-build
	@SWIFT="$(SWIFT)" sh Tools/Checks/test.sh

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
	@SWIFT="$(SWIFT)" sh Tools/Checks/test.sh --filter 'ScenarioTests.(LayeringTests|StyleTests)'

release: setup
	$(SWIFT) build -c release --product tally

test-build: setup
	$(SWIFT) build --build-tests

setup:
	@sh Tools/Checks/setup.sh
