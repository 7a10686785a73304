#!/bin/sh
# usage: xla.sh FOLDER
# Puts the XLA CPU plugin into FOLDER as pjrt_c_api_cpu_plugin.so, from the first wheel of xla.txt that can be fetched and has the right hash.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() { # name version sha256 library
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$1==$2" || return 1
    wheel=$(ls "$work"/*.whl)
    if [ "$(sha256sum "$wheel" | cut -d' ' -f1)" != "$3" ]; then
        echo "setup: $1 $2: the wheel's sha256 is not the pinned one; it is not used" >&2
        rm -f "$wheel"
        return 1
    fi
    python3 -m zipfile -e "$wheel" "$work/wheel"
    mv "$work/wheel/$4" "$folder/pjrt_c_api_cpu_plugin.so"
    find "$work/wheel" -path '*dist-info*' \( -name 'LICENSE*' -o -name 'THIRD_PARTY*' \) -exec cp {} "$folder/" \;
}

grep -v '^#' "$here/xla.txt" | while read -r name version sha library; do
    if fetch "$name" "$version" "$sha" "$library"; then
        echo "XLA CPU plugin: $name $version"
        exit 0
    fi
done
[ -f "$folder/pjrt_c_api_cpu_plugin.so" ] || { echo "setup: no XLA CPU plugin could be fetched; check the network and run make setup again" >&2; exit 1; }
