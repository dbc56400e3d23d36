#!/usr/bin/env bash
# run.sh [NAME…]: all of them, or those named.
#
# Each patch here breaks one thing that exactly once rests on, in a copy of the sources; the tests that it names must notice.
# And they must pass with the copy as it is: otherwise they prove nothing. The programs and logs stay in .build/mutants.
#
# A patch begins with a sentence, and with `program:` (what is built), `tests:` (what must notice), `failures:` (which of the
# cases of FailpointTests) and `kafka: real` (where the embedded broker does not do).
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD/.build/mutants
tree=$root/tree
patches=(Tests/Mutants/*.patch)
if [ $# -gt 0 ]; then
    patches=("${@/#/Tests/Mutants/}")
    patches=("${patches[@]/%/.patch}")
fi
# Only what hangs runs into it.
export TEST_HANG_LIMIT=${TEST_HANG_LIMIT:-40}
# Two runs go on beside a build.
export TEST_WIDTH=${TEST_WIDTH:-$(nproc)}

fail() {
    echo "$*" >&2
    exit 1
}

# field NAME PATCH…: what the patches say of it, a line each
field() { sed -n "s/^$1: //p" "${@:2}"; }

# build PROGRAM NAME: what the copy's program is now, as NAME.program
build() {
    if ! swift build --disable-index-store --package-path "$tree" --product "$1" >"$root/$2.build.log" 2>&1; then
        tail -n 30 "$root/$2.build.log" >&2
        fail "$2 does not build"
    fi
    cp "$tree/.build/debug/$1" "$root/$2.program"
}

# run LOG PATCH…: runs the tests that the patches name; leaves the status in LOG.status
run() {
    local log=$1 tests failures broker=(-u KAFKA_HOME) status=0
    tests=$(field tests "${@:2}" | sort -u | paste -sd '|')
    failures=$(field failures "${@:2}" | paste -sd ';')
    [ -z "$(field kafka "${@:2}")" ] || broker=()
    env "${broker[@]}" FAILURES="$failures" deploy/local/test.sh --filter "^($tests)" >"$log" 2>&1 || status=$?
    echo "$status" >"$log.status"
}

# baseline LOG PATCH…: the same with the programs as they are
baseline() {
    export CONSUMER_PROGRAM=$root/consumer.program KPI_SERVICE_PROGRAM=$root/kpi-service.program
    run "$@"
}

# mutant PATCH: the same with the program that the patch has made
mutant() {
    local name variable
    name=$(basename "$1" .patch)
    variable=$(field program "$1" | tr 'a-z-' 'A-Z_')_PROGRAM
    export "$variable=$root/$name.program"
    run "$root/$name.log" "$1"
}

# begin FUNCTION ARGUMENT…: has it go on by itself, once less than two do: tests wait more than they work
begin() {
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    "$@" &
}

# check LOG PATCH…: ends all when a baseline proves nothing
check() {
    local failure
    while read -r failure; do
        grep -aqF "→ $failure to" "$1" || fail "there is no case '$failure': see $1"
    done < <(field failures "${@:2}")
    if [ "$(cat "$1.status")" != 0 ] || ! grep -aqE 'Test run with [1-9].* passed' "$1"; then
        grep -aE '✘|error:' "$1" | tail -n 10 | cut -c 1-500 >&2
        fail "the tests fail without a change, so they prove nothing: see $1"
    fi
}

for patch in "${patches[@]}"; do
    patch --dry-run --strip=1 --fuzz=0 --silent <"$patch" >&2 || fail "$patch does not apply to the sources any more"
done

rm -rf "$root"
mkdir -p "$tree"
cp -R Package.swift Sources Tests deploy "$tree/"
for program in consumer kpi-service; do build "$program" "$program"; done

mapfile -t real < <(grep -l '^kafka: real' "${patches[@]}")
mapfile -t embedded < <(grep -L '^kafka: real' "${patches[@]}")
[ ${#embedded[@]} -eq 0 ] || begin baseline "$root/baseline-embedded" "${embedded[@]}"
[ ${#real[@]} -eq 0 ] || begin baseline "$root/baseline-real" "${real[@]}"

for patch in "${patches[@]}"; do
    patch --directory="$tree" --strip=1 --fuzz=0 --no-backup-if-mismatch --silent <"$patch"
    build "$(field program "$patch")" "$(basename "$patch" .patch)"
    patch --directory="$tree" --strip=1 --reverse --no-backup-if-mismatch --silent <"$patch"
    begin mutant "$patch"
done
wait
[ ${#embedded[@]} -eq 0 ] || check "$root/baseline-embedded" "${embedded[@]}"
[ ${#real[@]} -eq 0 ] || check "$root/baseline-real" "${real[@]}"

killed=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    # A run that ends otherwise, say since a server did not start, is no proof.
    if grep -aq '✘ Test .* recorded an issue' "$root/$name.log"; then
        killed=$((killed + 1))
        echo "killed: $name: $(sed -n 1p "$patch")"
    else
        echo "SURVIVED: $name: $(sed -n 1p "$patch") See $root/$name.log"
    fi
done
echo "mutants=${#patches[@]} killed=$killed"
[ "$killed" -eq "${#patches[@]}" ]
