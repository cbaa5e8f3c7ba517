#!/usr/bin/env bash
# All tests, with the words that start pytest as arguments. Those that need a real cluster, the lab or all of the machine
# run one after the other; all others run beside them and give way, because most of their time they wait. The log of the
# others comes last, so that the whole ends with pytest's own summary.
set -uo pipefail
log=$(mktemp)
# A shell starts what runs beside it deaf to Ctrl-C, and tests of Ctrl-C are among them.
env --default-signal=INT nice -n 5 "$@" --ignore=tests/cluster --ignore=tests/system >"$log" 2>&1 &
others=$!
trap 'kill "$others" 2>/dev/null; rm -f "$log"' EXIT
"$@" tests/cluster tests/system; alone=$?
wait "$others"; beside=$?
cat "$log"
exit $((alone || beside))
