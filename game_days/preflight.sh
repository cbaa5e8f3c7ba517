#!/usr/bin/env bash
# Stops at once on a machine on which the lab cannot run, and names both ways to mend it.
set -u
if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ]; then exit 0; fi
if [ "${LAB_BACKEND:-auto}" != local ] && command -v kind >/dev/null 2>&1 && command -v docker >/dev/null 2>&1 \
   && timeout 1.5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then exit 0; fi
cat >&2 <<'EOF'
The lab cannot run on this machine. Either
  1. start a container engine (Docker) and put a `kind` binary on PATH, or
  2. use Linux as root (a virtual machine will do): the lab then runs real clusters in network namespaces, without an engine.
EOF
exit 1
