#!/bin/sh
# Runs the tests, and says at the end which of them failed: among thousands of lines, from tests
# that end in any order, a failure is easily missed. Arguments go to `swift test`, and so does
# TALLY_TRAITS: the package traits that the tests were built with.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All tests of a run are begun at once, and share the processors: those that compute for minutes
# go first, by themselves, so that those that look at a clock are not kept waiting by them.
long='^(CrashTests|CompactionTests|LogTests|ScenarioTests)\.'
# Those that do nothing but compute, on all processors, have them for themselves.
computing='^SimulationTests\.'
# And those that measure silence, hold leases of seconds, or talk over sockets, behind all others.
quiet='^ServerTests\.'
leases='^(ClientTests|ClusterTests|EtcdTests|KafkaTests)\.|^StateStoreTests\.InternalTopicsTests'
# Clusters in this process have thousands of descriptors open: Foundation, which reads the list of
# them before it starts a program, has been seen to fault on one so long.
members='^MemberTests\.'
# Clusters of processes, each as busy as its producer lets it be: nobody else is to wait for them.
clusters='^FailoverTests\.'

run() {
    {
        "${SWIFT:-swift}" test --skip-build ${TALLY_TRAITS:+--traits "$TALLY_TRAITS"} "$@" 2>&1
        echo $? >"$work/status"
    } | tee -a "$work/report"
    [ "$(cat "$work/status")" -eq 0 ]
}

status=0
if [ $# -gt 0 ]; then
    run "$@" || status=1
else
    run --filter "$computing" || status=1
    run --filter "$long" || status=1
    run --skip "$computing" --skip "$long" --skip "$quiet" --skip "$leases" \
        --skip "$members" --skip "$clusters" || status=1
    run --filter "$leases" || status=1
    run --filter "$members" || status=1
    run --filter "$quiet" || status=1
    run --filter "$clusters" || status=1
fi
if [ "$status" -ne 0 ]; then
    printf '\nWhat failed:\n'
    grep -E '^✘|[Ff]atal error|unexpected signal' "$work/report"
fi
exit "$status"
