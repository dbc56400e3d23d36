#!/usr/bin/env bash
# Builds the fuzz targets with libFuzzer and the address sanitizer and runs each for FUZZ_SECONDS. What they have learnt, their
# logs and the inputs that crashed stay in .build/fuzz/TARGET; those inputs are tried first the next time.
#
# They are compiled here, with the sources of the module they test, because the package manager does not know of fuzzers.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${FUZZ_SECONDS:-60}
root=.build/fuzz
targets=0 runs=0 crashes=0
ASAN_SYMBOLIZER_PATH=$(dirname "$(readlink -f "$(command -v swiftc)")")/llvm-symbolizer
export ASAN_SYMBOLIZER_PATH
# Swift's own report of a crash reads other threads' stacks, which the sanitizer takes for a mistake of the program.
export SWIFT_BACKTRACE=enable=no

# build TARGET SOURCE-OR-OPTION…
build() {
    echo "building $1"
    mkdir -p "$root/$1"/{learnt,crashes}
    swiftc -sanitize=fuzzer,address -O -wmo -g -parse-as-library -swift-version 6 -warnings-as-errors -use-ld=lld \
        -package-name tickstream -module-name "$1" \
        -emit-executable -emit-module-path "$root/$1/module.swiftmodule" -o "$root/$1/fuzz" "Tests/Fuzzing/$1"/*.swift "${@:2}"
}

# run TARGET SEEDS OPTION…
run() {
    echo "running $1 for $seconds s"
    local status=0
    "$root/$1/fuzz" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$root/$1/crashes/" "${@:3}" \
        "$root/$1/learnt" "Tests/Fuzzing/Seeds/$2" "$root/$1/crashes" >"$root/$1/log" 2>&1 || status=$?
    echo "$status" >"$root/$1/status"
}

# report TARGET: counts what came of a run, and shows a crash
report() {
    local log=$root/$1/log
    targets=$((targets + 1))
    runs=$((runs + $(awk '/^stat::number_of_executed_units:/ { count = $2 } END { print count + 0 }' "$log")))
    if [ "$(cat "$root/$1/status")" != 0 ]; then
        crashes=$((crashes + 1))
        grep -v '^#[0-9]*[[:space:]]' "$log" | tail -n 60
        echo "$1 crashed: see $log and $root/$1/crashes"
    fi
}

# Two at a time: each takes one processor.
build FeedFrames Sources/Shared/TradeModel/*.swift &
build Reassembly Sources/Shared/WebSocket/MessageAssembler.swift Tests/Fuzzing/Shared/*.swift
wait $!
build ClientWire Sources/Shared/WebSocket/*.swift Tests/WebSocketTests/SHA1.swift Tests/Fuzzing/Shared/*.swift \
    -I Sources/Shared/CLibraries/CLibwebsockets &
build Encoders Sources/Shared/Postgres/FieldBuffer.swift Sources/Shared/Postgres/FieldBuffer+Numeric.swift \
    Sources/Shared/Postgres/PostgresError.swift
wait $!

run FeedFrames frames -dict=Tests/Fuzzing/Seeds/json.dict &
run Encoders values
wait $!
run Reassembly wire &
# Its threads allocate across inputs, which the leak check takes for leaks.
run ClientWire wire -detect_leaks=0
wait $!
for target in FeedFrames Encoders Reassembly ClientWire; do report "$target"; done

echo "targets=$targets runs=$runs crashes=$crashes"
[ "$crashes" = 0 ]
