#!/bin/sh
# Names everything that is missing on this machine in one line, with the command that installs it, before anything is downloaded.
set -u
missing=""
packages=""
lack() { missing="$missing $1,"; packages="$packages${2:+ $2}"; }

# Debian 12's Go is older than the toolchains that fetch newer ones themselves; Debian 13's does that.
go=$(awk '$1 == "go" { print $2 }' "$(dirname "$0")/../../go.mod")
remedy=""
if ! command -v go >/dev/null 2>&1; then
    lack "Go $go or newer" ""
    remedy=yes
elif ! go version | awk -v want="$go" '{ split(substr($3, 3), v, "."); split(want, w, "."); exit !(v[1] > w[1] || v[2] >= w[2]) }'; then
    lack "Go $go or newer (found $(go version | cut -d" " -f3))" ""
    remedy=yes
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
    text="setup: missing${missing%,}"
    [ -z "$remedy" ] || text="$text; install Go from https://go.dev/dl (or Debian 13's golang-go, which fetches a newer Go itself)"
    [ -z "${packages# }" ] || text="$text; run: apt-get install$packages"
    echo "$text" >&2
    exit 1
fi
