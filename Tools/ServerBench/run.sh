#!/bin/sh
# Measures `tally serve` with a client of librdkafka; prints a table.
#
#   run.sh [TALLY]      the program (.build/release/tally)
#
# Needs a C compiler, librdkafka-dev and python3.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tally=${1:-$root/.build/release/tally}
client=$root/.build/kafka_bench

[ -e /usr/include/librdkafka/rdkafka.h ] || {
    echo "bench-server: there is no librdkafka. Try: apt-get install librdkafka-dev" >&2
    exit 1
}
cc -O2 -Wall -Wextra -o "$client" "$here/kafka_bench.c" -lrdkafka -lpthread
exec python3 "$here/bench_server.py" "$tally" "$client"
