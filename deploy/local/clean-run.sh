#!/bin/sh
# clean-run.sh: forgets the data of `make run`. They lie in .local, or where a link there points to.
set -eu
cd "$(dirname "$0")/../.."

for lock in .local/*/data/postmaster.pid; do
    [ -e "$lock" ] || continue
    pid=$(head -n 1 "$lock")
    if [ -d "/proc/$pid" ]; then
        echo "PostgreSQL still runs on these data (process $pid): stop 'make run' first" >&2
        exit 1
    fi
done
for entry in .local/*; do
    if [ -L "$entry" ]; then rm -rf -- "$(readlink -f "$entry")"; fi
done
rm -rf .local
