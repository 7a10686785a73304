#!/bin/sh
# Makes .venv-reference, the Python environment of the recorder scripts (make fixtures). Running it again changes nothing.
# The marker READY holds the sum of the lists it was made from, so that a changed list is installed and an unfinished one resumed.
# About 8 GB on disk, most of it the CUDA libraries that torch's wheel brings and the recorders do not use.
set -eu
cd "$(dirname "$0")/../.."
# Kohya's trainer is no package: the part of its source that is recorded from.
if [ ! -e .sd-scripts/networks/lora.py ]; then
	rm -rf .sd-scripts
	git init --quiet .sd-scripts
	git -C .sd-scripts fetch --quiet --depth 1 --filter blob:limit=1m https://github.com/kohya-ss/sd-scripts 48d368fa557731ad0488c07304dfeba8c07910eb
	git -C .sd-scripts checkout --quiet FETCH_HEAD -- networks
fi
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
