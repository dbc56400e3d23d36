#!/usr/bin/env bash
# test.sh OPTION… [-- OPTION…]…: runs what is built of the tests, and ends with a status. Options choose tests, with --filter
# and --skip; each list of them is a process of its own beside the others. What matters most comes last: the result lines of
# the end-to-end tests and of the scenarios; after a failure whatever says what failed, and after a crash where that was.
set -u
cd "$(dirname "$0")/../.."

# So many tests of a process run at a time. Otherwise all do: on few cores they keep one another from the processor. Most wait
# for others' processes more than they work.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=${TEST_WIDTH:-$((3 * $(nproc)))}

# The log is searched below.
export NO_COLOR=1

# Not by `swift test`, which takes turns with all that is done with .build.
run() {
    local word options=() processes=() status=0
    for word in "$@" --; do
        if [ "$word" != -- ]; then
            options+=("$word")
            continue
        fi
        .build/debug/tickstreamPackageTests.xctest --testing-library swift-testing "${options[@]}" &
        processes+=($!)
        options=()
    done
    trap 'kill "${processes[@]}" 2>/dev/null' INT TERM
    for process in "${processes[@]}"; do wait "$process" || status=$?; done
    return "$status"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

if [ "$status" -eq 0 ]; then
    grep -aE '^(sent|scenarios)=' "$log"
    exit 0
fi
printf '\nWhat failed, of the log above:\n'
{
    # An issue's own words stand in the line below it.
    awk '/✘|recorded an issue|Fatal error|Assertion .* failed|Program crashed|unexpected signal/ { print; told = 1; next }
        told && /^↳ / { print } { told = 0 }' "$log" | tail -n 40
    # Of a crash, the project's own frames, the innermost first, and what had begun and not ended.
    sed -n '/ crashed:$/,/^Registers:/p' "$log" | grep -aE ' at .*\.swift:[0-9]' | head -n 5
    grep -aq '✘ Test run' "$log" || awk '
        match($0, / (started\.$|(with .* )?(passed|failed) after )/) {
            name = substr($0, 1, RSTART - 1)
            sub(/^[^ ]+ /, "", name)
            if (name !~ /^Test / || name ~ /^Test (case|run)/) next
            if (/ started\.$/) open[name] = 1; else delete open[name]
        }
        END { for (name in open) if (shown++ < 8) print "had not ended: " name }' "$log"
} | cut -c 1-1000
grep -a '^scenarios=' "$log"
exit "$status"
