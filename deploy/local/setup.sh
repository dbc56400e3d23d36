#!/bin/sh
# setup.sh [java] [promtool] [pgbouncer]: installs what building, testing and running on this machine needs and is missing.
# With "java" a Java runtime as well, for a real Kafka; with "promtool" Prometheus' checker of metrics, with "pgbouncer" the
# pooler, both below .build/tools. Quick when nothing is missing. Only root can install: others are told the command.
set -eu

missing=
need() { # need PACKAGE CHECK...: wants the package unless the check succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
have() { command -v "$1"; }
wanted=" $* "
want() { case $wanted in *" $1 "*) ;; *) return 1 ;; esac; }
have_server() {
    for program in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$program" ] && return
    done
    have postgres
}

need pkg-config have pkg-config
need librdkafka-dev pkg-config --exists rdkafka
need libpq-dev pkg-config --exists libpq
need libwebsockets-dev pkg-config --exists libwebsockets
need libssl-dev pkg-config --exists openssl
need postgresql have_server
need postgresql-client have psql
need kcat have kcat
need patch have patch
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need util-linux have setpriv
need python3-venv python3 -c 'import ensurepip, venv'
! want java || need default-jre-headless have "${JAVA_HOME:+$JAVA_HOME/bin/}java"

if [ -n "$missing" ]; then
    command="apt-get install --no-install-recommends$missing"
    if ! have apt-get >/dev/null; then
        echo "These Debian packages, or what stands for them on this system, are missing:$missing" >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "Some packages are missing. Please run: sudo $command" >&2
        exit 1
    fi
    echo "Installing:$missing"
    # Debian starts a cluster of its own when it installs the server. Nobody asked for one here, so not this time.
    folder=/etc/postgresql-common/createcluster.d
    if [ ! -e "$folder" ] && ! have_server >/dev/null; then
        trap 'rm -rf "$folder"' EXIT
        mkdir -p "$folder"
        echo 'create_main_cluster = false' >"$folder/tickstream.conf"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=120 update
    # shellcheck disable=SC2086 # one word a package
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends $missing
fi

if ! have swift >/dev/null; then
    echo "Swift is missing: install version 6.2 or later from https://www.swift.org/install/linux" >&2
    exit 1
fi

# The Python clients that a test connects to the feed with. Only that test needs them, and fails without them.
python=.build/tools/python
if ! "$python/bin/python" -c 'import websocket, websockets' 2>/dev/null; then
    echo "Installing: websocket-client and websockets, from PyPI into $python"
    python3 -m venv "$python" &&
        "$python/bin/pip" install --quiet --disable-pip-version-check --retries 1 'websocket-client>=1.8' 'websockets>=13' ||
        echo "Without them everything runs, but the tests of Python clients will fail. Is PyPI reachable?" >&2
fi

# From the packages' files, since installing the packages would leave servers running. Works without root as well.
tools=$(realpath -m "$(dirname "$0")/../../.build/tools")
download() { apt-get -q -o APT::Sandbox::User=root download "$@"; }
unpack() { # unpack PACKAGE...: into the working directory
    { download "$@" || { apt-get -q update && download "$@"; }; } || return
    for file in *.deb; do dpkg-deb -x "$file" . || return; done
}
get_promtool() (
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cd "$folder" && unpack prometheus && mkdir -p "$tools" && mv usr/bin/promtool "$tools/promtool"
)
# With those of its libraries that are not installed.
get_pgbouncer() (
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    libraries=$(apt-cache depends --important pgbouncer | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p')
    for library in $libraries; do
        dpkg-query -W -f '${db:Status-Status}' "$library" 2>/dev/null | grep -q '^installed' || set -- "$@" "$library"
    done
    cd "$folder" && unpack pgbouncer "$@" && mkdir -p "$folder/pgbouncer" || return
    find usr lib -name '*.so.*' -exec cp -P {} pgbouncer/ \; 2>/dev/null
    mv usr/sbin/pgbouncer pgbouncer/ && LD_LIBRARY_PATH=$folder/pgbouncer pgbouncer/pgbouncer --version &&
        mkdir -p "$tools" && rm -rf "$tools/pgbouncer" && mv pgbouncer "$tools/pgbouncer"
)
if want promtool && ! have promtool >/dev/null && [ ! -x "$tools/promtool" ]; then
    echo "Getting promtool from the Debian package prometheus"
    get_promtool >/dev/null || echo "promtool cannot be had now: the test that needs it is left out" >&2
fi
if want pgbouncer && [ ! -x /usr/sbin/pgbouncer ] && [ ! -x "$tools/pgbouncer/pgbouncer" ]; then
    echo "Getting PgBouncer from the Debian package pgbouncer"
    get_pgbouncer >/dev/null || echo "PgBouncer cannot be had now: the tests that need it are left out" >&2
fi
