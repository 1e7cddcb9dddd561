#!/bin/sh
# Makes a virtual environment: make_venv.sh FOLDER. Uses $PYTHON, or the first Python >= 3.11 found.
set -eu
folder=$1

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -z "${PYTHON:-}" ]; then
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if suits "$candidate"; then PYTHON=$candidate; break; fi
  done
fi
if [ -z "${PYTHON:-}" ] || ! suits "$PYTHON"; then
  echo "error: no Python 3.11 or later was found; nothing was installed" >&2
  echo "hint: install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2
  exit 1
fi

# Debian and Ubuntu split ensurepip off into python3-venv.
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$PYTHON" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
  run=; [ "$(id -u)" = 0 ] || run=sudo
  echo "$PYTHON has no venv module: installing python$version-venv"
  if ! { command -v apt-get >/dev/null && $run apt-get update -q && $run apt-get install -q -y "python$version-venv"; }; then
    echo "error: $PYTHON can't make virtual environments, and python$version-venv could not be installed" >&2
    echo "hint: install python$version-venv by hand (apt-get install python$version-venv), then run make again" >&2
    exit 1
  fi
fi
"$PYTHON" -m venv "$folder"
