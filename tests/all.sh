#!/usr/bin/env bash
# All tests, with the words that start pytest as arguments, in three lanes beside each other: most of their time they
# wait. Those of the lab run one after the other and are shown as they go; those of single API servers beside them; all
# others give way to both. What the others print comes last, so that the whole ends with pytest's own summary.
set -uo pipefail
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$logs"' EXIT
# A shell starts what runs beside it deaf to Ctrl-C, and tests of Ctrl-C are among them.
env --default-signal=INT "$@" tests/cluster >"$logs/cluster" 2>&1 & cluster=$!
env --default-signal=INT nice -n 5 "$@" --ignore=tests/cluster --ignore=tests/system >"$logs/others" 2>&1 & others=$!
"$@" tests/system; failed=$?
wait $cluster || failed=1
wait $others || failed=1
cat "$logs/cluster" "$logs/others"
exit $failed
