#!/bin/sh
# Makes .venv-reference, the Python environment of the recorder scripts (make fixtures). Running it again changes nothing.
# The marker READY holds the sum of the lists it was made from, so that a changed list is installed and an unfinished one resumed.
# About 8 GB on disk, most of it the CUDA libraries that torch's wheel brings and the recorders do not use.
set -eu
cd "$(dirname "$0")/../.."
list=docker/steps/requirements-reference.txt
pins=docker/steps/constraints-reference.txt
venv=.venv-reference
sum=$(cat "$list" "$pins" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/READY" 2>/dev/null)" = "$sum" ]; then
	exit 0
fi
rm -f "$venv/READY"
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet -r "$list" -c "$pins"
"$venv/bin/python" -c 'import torch, transformers, diffusers, lycoris, safetensors, k_diffusion.sampling, ftfy'
echo "$sum" > "$venv/READY"
