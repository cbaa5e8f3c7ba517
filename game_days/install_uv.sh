#!/usr/bin/env bash
# install_uv.sh FOLDER: puts a pinned uv into a virtual environment of its own, where no uv is on PATH.
set -euo pipefail
folder=$1
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
  else
    echo "Holdfast needs Python 3.11 or newer with venv, or uv on PATH. Install one of them and run the command again." >&2
    exit 1
  fi
fi
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "uv==0.13.8"
