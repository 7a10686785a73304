#!/bin/sh
# Names everything that is missing on this machine in one line, with the command that installs it, before anything is downloaded.
set -u
missing=""
packages=""
lack() { missing="$missing $1,"; packages="$packages $2"; }

if ! command -v go >/dev/null 2>&1; then
    lack "Go 1.26 or newer" golang-go
elif ! go version | awk '{ split(substr($3, 3), v, "."); exit !(v[1] > 1 || v[2] >= 26) }'; then
    lack "Go 1.26 or newer (found $(go version | cut -d" " -f3))" golang-go
fi
command -v "${CC:-gcc}" >/dev/null 2>&1 || lack "a C compiler" gcc
if ! command -v python3 >/dev/null 2>&1; then
    lack "Python 3" "python3 python3-venv"
elif ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    lack "Python's venv module" python3-venv
fi
case "$(uname -s)-$(uname -m)" in
Linux-x86_64) ;;
*) echo "setup: the XLA CPU plugin exists as a wheel for Linux on x86-64 only, this machine is $(uname -s) on $(uname -m); use the container in docker/" >&2; exit 1 ;;
esac
if [ -n "$missing" ]; then
    echo "setup: missing${missing%,}; install with: apt-get install$packages" >&2
    exit 1
fi
