#!/usr/bin/env bash
# All tests, with the words that start pytest as arguments. Those that need a real cluster, the lab or all of the machine
# run one after the other; beside them, and giving way, the core's own, which must reach every branch of it, and all
# others. What the others print comes last, so that the whole ends with pytest's own summary.
set -uo pipefail
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$logs"' EXIT
# A shell starts what runs beside it deaf to Ctrl-C, and tests of Ctrl-C are among them.
beside=(env --default-signal=INT nice -n 5 "$@")
"${beside[@]}" -q tests/holdfast/core --cov=holdfast.core >"$logs/core" 2>&1 & core=$!
"${beside[@]}" --ignore=tests/cluster --ignore=tests/system --ignore=tests/holdfast/core >"$logs/others" 2>&1 & others=$!
"$@" tests/cluster tests/system; failed=$?
wait $core || failed=1
wait $others || failed=1
cat "$logs/core" "$logs/others"
exit $failed
