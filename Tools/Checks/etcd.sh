#!/bin/sh
# Brings an etcd into .build/etcd for the tests of the coordination store, where there is none on
# the PATH: Debian's etcd-server, unpacked and not installed, so that no service is started.
# Where it cannot be had it says so, and the tests will say that they are skipped. With
# TALLY_REQUIRE_ETCD=1 that is a failure.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/.build/etcd

cannot() {
    echo "etcd: $1" >&2
    [ "${TALLY_REQUIRE_ETCD:-0}" = 1 ] && exit 1
    exit 0
}

command -v etcd >/dev/null 2>&1 && exit 0
[ -x "$folder/usr/bin/etcd" ] && exit 0
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
    cannot "there is no etcd, and no apt-get to bring it. Please install it."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
echo "etcd: bringing etcd-server into .build/etcd"
# apt-get gives up its rights while it downloads.
[ "$(id -u)" -eq 0 ] && chmod 777 "$work"
apt-get download -qq etcd-server >/dev/null 2>&1 || {
    # The package lists may be missing or too old.
    [ "$(id -u)" -eq 0 ] && apt-get update -qq >/dev/null 2>&1
    apt-get download -qq etcd-server >/dev/null 2>&1 ||
        cannot "etcd-server cannot be had. Try: apt-get update && apt-get install etcd-server"
}
mkdir -p "$root/.build"
rm -rf "$folder.new"
dpkg-deb -x etcd-server_*.deb "$folder.new" || cannot "the package cannot be unpacked."
rm -rf "$folder"
mv "$folder.new" "$folder"
