#!/bin/sh
# Measures a cluster of `tally serve` processes on this machine; prints tables.
#
#   run.sh [TALLY [OPTIONS]]    the program (.build/release/tally), and options of bench_cluster.py
#
# Needs a C compiler, librdkafka-dev and python3.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tally=${1:-$root/.build/release/tally}
[ $# -eq 0 ] || shift
client=$root/.build/kafka_bench

[ -e /usr/include/librdkafka/rdkafka.h ] || {
    echo "bench-cluster: there is no librdkafka. Try: apt-get install librdkafka-dev" >&2
    exit 1
}
cc -O2 -Wall -Wextra -o "$client" "$here/../ServerBench/kafka_bench.c" -lrdkafka -lpthread
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$here/bench_cluster.py" "$tally" "$client" "$@"
