#!/usr/bin/env bash
# One seed gives one trace: from two processes, from builds with and without optimisation, with 1 and with 8 jobs, first
# and last among others. Every scenario, 200 seeds, every byte of every trace.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --locked --bins --example trace-hashes
cargo build --quiet --locked --release --bins --example trace-hashes
debug=${CARGO_TARGET_DIR:-target}/debug
release=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$debug/examples/trace-hashes" 1 >"$work/debug-1" &
"$release/examples/trace-hashes" 1 >"$work/release-1"
"$release/examples/trace-hashes" 8 back >"$work/release-8"
wait $!
traces=$(wc -l <"$work/release-1")
scenarios=$("$release/snowglobe" list --names | wc -l)
[ "$traces" = $((scenarios * 200)) ] && [ "$scenarios" -gt 0 ]
diff "$work/release-1" "$work/release-8"
diff "$work/release-1" "$work/debug-1"

# What is printed, and the files themselves, come from the same bytes: once for each scenario, by the program.
for scenario in $("$release/snowglobe" list --names); do
    for build in debug release; do
        "${!build}/snowglobe" run "$scenario" --trace "$work/$build.jsonl" >"$work/$build.txt" 2>/dev/null || [ $? = 1 ]
    done
    diff "$work/debug.txt" "$work/release.txt"
    cmp "$work/debug.jsonl" "$work/release.jsonl"
done
echo "$traces traces of $scenarios scenarios are the same bytes in two processes and two builds, with 1 and 8 jobs, first and last"
