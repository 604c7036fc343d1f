#!/bin/sh
# Stands before rustc for the workspace's own crates (RUSTC_WORKSPACE_WRAPPER), and makes them tell libFuzzer
# which branches an input took and what it was compared with. These are the flags of `cargo fuzz`, without a
# sanitizer: nothing here is unsafe, so what is looked for is a broken property and not a bad access.

# A build script is a program of its own, without libFuzzer.
for argument in "$@"; do
    if [ "$argument" = build_script_build ]; then exec "$@"; fi
done

exec "$@" --cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
