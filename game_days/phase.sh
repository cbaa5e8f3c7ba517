#!/usr/bin/env bash
# phase.sh NAME COMMAND…: says what is being done, runs it, says how long it took. Its output is shown only when it fails.
set -u
name=$1; shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
start=$(date +%s)
printf '» %s\n' "$name"
if "$@" >"$log" 2>&1; then
  printf '  %s: %s s\n' "$name" "$(( $(date +%s) - start ))"
else
  status=$?
  cat "$log"
  printf '  %s failed after %s s (exit %s): %s\n' "$name" "$(( $(date +%s) - start ))" "$status" "$*" >&2
  exit "$status"
fi
