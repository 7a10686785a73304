#!/bin/sh
# usage: cuda.sh VENV FOLDER
# Installs the XLA CUDA plugin and the CUDA libraries it needs into VENV, and links the plugin into FOLDER under the name lohakit looks for.
# It needs an NVIDIA driver to be of use, not to be installed. Afterwards: LOHAKIT_DEVICE=cuda make lab
set -eu
venv=$1
mkdir -p "$2"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "jax-cuda12-plugin[with-cuda]==0.12.0.1" "jax-cuda12-pjrt==0.12.0.1"
plugin=$("$venv/bin/python" -c 'import os, jax_plugins.xla_cuda12 as p; print(os.path.join(os.path.dirname(p.__file__), "xla_cuda_plugin.so"))')
# The plugin finds the CUDA libraries relative to its real path, so it is linked, not moved.
ln -sf "$plugin" "$2/pjrt_c_api_cuda_plugin.so"
echo "XLA CUDA plugin: linked into $2"
