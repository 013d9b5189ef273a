#!/bin/sh
# Runs the tests, and says at the end which of them failed: among thousands of lines, from tests
# that end in any order, a failure is easily missed. Arguments go to `swift test`.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
    "${SWIFT:-swift}" test --skip-build "$@" 2>&1
    echo $? >"$work/status"
} | tee "$work/report"

status=$(cat "$work/status")
if [ "$status" -ne 0 ]; then
    printf '\nWhat failed:\n'
    grep -E '^✘|[Ff]atal error|unexpected signal' "$work/report"
fi
exit "$status"
