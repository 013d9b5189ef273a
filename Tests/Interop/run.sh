#!/bin/sh
# Runs real Kafka clients against `tally serve`.
#
#   run.sh [TALLY [OPTIONS]]      the program (.build/debug/tally), and options of the suite
#
# Installs what is missing: kcat from Debian, and the Python clients into .build/interop-venv. Exits
# with 77 where they cannot be installed; with TALLY_REQUIRE_INTEROP=1 that is a failure, 1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${TALLY_INTEROP_VENV:-$root/.build/interop-venv}
tally=${1:-$root/.build/debug/tally}
[ $# -eq 0 ] || shift

cannot() {
    echo "interop: $1" >&2
    [ "${TALLY_REQUIRE_INTEROP:-0}" = 1 ] && exit 1
    echo "interop: not run" >&2
    exit 77
}

install_kcat() {
    command -v apt-get >/dev/null 2>&1 || cannot "there is no kcat. Please install it."
    [ "$(id -u)" -eq 0 ] || cannot "there is no kcat. Please: sudo apt-get install kcat"
    echo "interop: installing kcat"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends kcat </dev/null >/dev/null 2>&1 || {
        # The package lists may be missing or too old.
        apt-get update -qq </dev/null >/dev/null 2>&1 || true
        apt-get install -y -qq --no-install-recommends kcat </dev/null >/dev/null 2>&1 ||
            cannot "kcat cannot be installed. Try: apt-get update && apt-get install kcat"
    }
}

install_clients() {
    # The folder keeps the list it was made of: another list, and it is made anew.
    cmp -s "$here/requirements.txt" "$venv/requirements.txt" 2>/dev/null && return
    command -v python3 >/dev/null 2>&1 || cannot "there is no python3."
    echo "interop: installing Python clients into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv" >/dev/null 2>&1 ||
        cannot "python3 cannot make virtual environments (Debian: apt-get install python3-venv)."
    log="$venv/pip.log"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/requirements.txt" >"$log" 2>&1 || {
        tail -n 3 "$log" >&2
        cannot "the Python clients cannot be installed."
    }
    cp "$here/requirements.txt" "$venv/requirements.txt"
}

[ -x "$tally" ] || {
    echo "interop: there is no $tally; build it first" >&2
    exit 1
}
command -v kcat >/dev/null 2>&1 || install_kcat
install_clients
# Nothing is left behind in the sources.
export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" -m interop "$tally" "$@"
