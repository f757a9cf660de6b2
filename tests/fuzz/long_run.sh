#!/usr/bin/env bash
# The long form: gives each fuzz target so many seconds (300 by default), one after the other.
#
#     tests/fuzz/long_run.sh BUILD [SECONDS [TARGET...]]
#
# BUILD is the folder of the preset: build/fuzz. What is found is kept in BUILD/found, what an input
# broke in BUILD/crashes. It fails where a target did.
set -uo pipefail
build=$1 seconds=${2:-300}
shift $(($# < 2 ? $# : 2))
corpora=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/corpus
failures=0
for target in "${@:-$build/tests/fuzz/*_fuzz}"; do
    for program in $target; do
        name=$(basename "$program")
        mkdir -p "$build/found/$name" "$build/crashes"
        printf '%-16s ' "$name"
        "$build/tests/fuzz/$name" -max_total_time="$seconds" -max_len=1000 -len_control=0 -timeout=60 \
            -artifact_prefix="$build/crashes/$name-" "$build/found/$name" "$corpora/$name" \
            >"$build/$name.log" 2>&1
        status=$?
        printf 'exit %d, %s in %s inputs\n' "$status" "$(grep -a 'operations$' "$build/$name.log")" \
            "$(grep -ao "^#[0-9][0-9]*" "$build/$name.log" | tail -n 1)"
        ((failures += status != 0))
    done
done
exit "$((failures != 0))"
