#!/bin/sh
# Fails when a program of the pipeline links more of Foundation than nothing: they are to stay small and quick to start. Or
# when the producer's clock can be sped up, or a reader told where to fail: only a debug build's can, for tests.
set -eu
cd "$(dirname "$0")/../.."
status=0
for program in producer consumer kpi-service feed-simulator dev-broker; do
    if ldd ".build/release/$program" | grep -E 'libFoundation|lib_Foundation'; then
        echo "$program links Foundation" >&2
        status=1
    fi
done
if grep -q TICKSTREAM_FEED_CLOCK_SPEED .build/release/producer; then
    echo "the producer's clock can be sped up" >&2
    status=1
fi
for reader in consumer kpi-service; do
    if grep -q TICKSTREAM_FAILPOINT ".build/release/$reader"; then
        echo "$reader can be told where to fail" >&2
        status=1
    fi
done
exit $status
