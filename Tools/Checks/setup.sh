#!/bin/sh
# Makes sure that what the build needs is there: a Swift toolchain, and the libraries liblz4 and
# libsqlite3 with their headers. Installs the libraries where it may. Quiet when all is there.
# usage: setup.sh [TRAITS], such as Gzip,Zstd: the libraries of these package traits as well
set -eu

traits=,${1-},

swift_minimum=6.2
swift_advice="Install Swift $swift_minimum or newer (https://www.swift.org/install)"
# A test of this script looks elsewhere.
header_folders=${TALLY_HEADER_FOLDERS-/usr/include /usr/local/include}

fail() {
    echo "setup: $1" >&2
    exit 1
}

check_swift() {
    command -v swift >/dev/null 2>&1 ||
        fail "there is no 'swift'. $swift_advice and put it on the PATH."
    version=$(swift --version 2>/dev/null </dev/null |
        sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] ||
        fail "'swift --version' does not tell a version. $swift_advice."
    oldest=$(printf '%s\n%s\n' "$version" "$swift_minimum" | sort -t . -k 1,1n -k 2,2n | head -n 1)
    [ "$oldest" = "$swift_minimum" ] ||
        fail "Swift $version is too old. $swift_advice."
}

# Whether a library can be built against: pkg-config's word, else dpkg's, else its header.
# has_library NAME-IN-PKG-CONFIG DEBIAN-PACKAGE HEADER
has_library() {
    if command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$1" 2>/dev/null; then
        return 0
    fi
    if command -v dpkg-query >/dev/null 2>&1 &&
        dpkg-query --show --showformat='${db:Status-Status}' "$2" 2>/dev/null |
        grep -q '^installed$'; then
        return 0
    fi
    for folder in $header_folders; do
        [ -f "$folder/$3" ] && return 0
    done
    return 1
}

# Whether a trait is among those that were named.
wants() {
    case $traits in
    *,"$1",*) return 0 ;;
    *) return 1 ;;
    esac
}

missing_packages() {
    has_library liblz4 liblz4-dev lz4frame.h || echo liblz4-dev
    has_library sqlite3 libsqlite3-dev sqlite3.h || echo libsqlite3-dev
    wants Gzip && { has_library zlib zlib1g-dev zlib.h || echo zlib1g-dev; }
    wants Snappy && { has_library snappy libsnappy-dev snappy-c.h || echo libsnappy-dev; }
    wants Zstd && { has_library libzstd libzstd-dev zstd.h || echo libzstd-dev; }
    return 0
}

install_packages() {
    packages="$*"
    command -v apt-get >/dev/null 2>&1 ||
        fail "please install: $packages (Debian's names for the headers of the libraries)."
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        command -v sudo >/dev/null 2>&1 ||
            fail "please install: $packages. As root: apt-get install $packages"
        # Without a terminal nobody could type a password.
        if [ ! -t 0 ]; then
            as_root="sudo -n"
            $as_root true 2>/dev/null ||
                fail "please install: $packages. With your password: sudo apt-get install $packages"
        fi
    fi
    echo "setup: installing $packages"
    # The package lists may be missing, as in a fresh container, or too old to be of use.
    try_install "$as_root" "$packages" && return
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
        echo "setup: 'apt-get update' failed; trying with what is there" >&2
    try_install "$as_root" "$packages" ||
        fail "could not install $packages. Try: apt-get update && apt-get install $packages"
}

# try_install HOW-TO-BE-ROOT PACKAGES
try_install() {
    # Both are lists of words.
    # shellcheck disable=SC2086
    $1 env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $2 </dev/null >"$log" 2>&1 || {
        [ ! -s "$log" ] || sed 's/^/setup: apt-get: /' "$log" | tail -n 3 >&2
        return 1
    }
}

check_swift
missing=$(missing_packages | tr '\n' ' ' | sed 's/ $//')
if [ -n "$missing" ]; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    install_packages "$missing"
    still_missing=$(missing_packages | tr '\n' ' ')
    [ -z "$still_missing" ] || fail "still missing after the installation: $still_missing"
fi
