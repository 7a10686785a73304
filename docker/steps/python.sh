#!/bin/sh
# usage: python.sh VENV
# Makes the Python environment VENV with the pinned JupyterLab, or brings an existing one up to date.
set -eu
here=$(dirname "$0")
venv=$1
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" -c "$here/constraints.txt"
