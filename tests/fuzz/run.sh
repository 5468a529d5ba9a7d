#!/usr/bin/env bash
# Runs every fuzzer of the presets release (which has the seeds) and fuzz, two at a time, and fails on a finding.
#
#     tests/fuzz/run.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")/../.."
export seconds=$1 work=$PWD/build/fuzz/runs
build/release/bin/make_fuzz_seeds build/fuzz/seeds

fuzz() {
  local program=$1 name
  name=$(basename "$program")
  mkdir -p "$work/$name/corpus"
  if "$program" "$work/$name/corpus" "build/fuzz/seeds/$name" -max_total_time="$seconds" -max_len=16384 -timeout=30 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$work/$name/" >"$work/$name/log" 2>&1; then
    echo "$name: $(grep '^Done ' "$work/$name/log")"
  else
    tail -n 60 "$work/$name/log"
    echo "$name: FAILED, see $work/$name"
    return 1
  fi
}
export -f fuzz
printf '%s\0' build/fuzz/bin/*_fuzz | xargs -0 -n 1 -P 2 bash -c 'set -e; fuzz "$1"' fuzz
