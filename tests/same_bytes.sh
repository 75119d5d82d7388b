#!/usr/bin/env bash
# One seed gives one trace: from two processes, and from builds with and without optimisation.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --locked
cargo build --quiet --locked --release
debug=${CARGO_TARGET_DIR:-target}/debug/snowglobe
release=${CARGO_TARGET_DIR:-target}/release/snowglobe
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compared=0
names=$("$release" list --names)
[ -n "$names" ]
for scenario in $names; do
    for seed in 0 1 2; do
        "$debug" run "$scenario" --seed $seed --trace "$work/debug.jsonl" >"$work/debug.txt" 2>/dev/null || [ $? = 1 ]
        "$release" run "$scenario" --seed $seed --trace "$work/release.jsonl" >"$work/release.txt" 2>/dev/null || [ $? = 1 ]
        "$release" run "$scenario" --seed $seed --trace "$work/again.jsonl" >/dev/null 2>&1 || [ $? = 1 ]
        diff "$work/debug.txt" "$work/release.txt"
        cmp "$work/debug.jsonl" "$work/release.jsonl"
        cmp "$work/release.jsonl" "$work/again.jsonl"
        compared=$((compared + 1))
    done
    for jobs in 1 8; do
        "$release" sweep "$scenario" --seeds 0..200 --jobs $jobs --json >"$work/jobs-$jobs.json" 2>/dev/null || [ $? = 1 ]
    done
    "$debug" sweep "$scenario" --seeds 0..200 --jobs 2 --json >"$work/jobs-debug.json" 2>/dev/null || [ $? = 1 ]
    cmp "$work/jobs-1.json" "$work/jobs-8.json"
    cmp "$work/jobs-1.json" "$work/jobs-debug.json"
done
echo "$compared traces are the same bytes in two processes and two builds; 200 seeds of each scenario have the same digest with 1 and 8 jobs and in two builds"
