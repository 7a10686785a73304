#!/bin/sh
# Compares the three networks of Stable Diffusion with the reference at half and at full size (860 M parameters), with random weights:
# records to .cache/parity (2.5 GB), then runs the comparisons. Takes 9 GB of memory and, on two idle cores, a few minutes.
# Arguments choose among the sizes half and full; both by default.
set -eu
cd "$(dirname "$0")/../.."
docker/steps/reference.sh
for size in ${*:-half full}; do
	for network in text vae unet; do
		if [ ! -e ".cache/parity/${network}_$size.safetensors" ]; then
			echo "recording $network, $size"
			.venv-reference/bin/python -W ignore "lohakit/sd/testdata/record_$network.py" "$size"
		fi
	done
done
go test -tags parity ./lohakit/sd -count 1 -timeout 2h -v -run 'TestLarger.*AgainstReference'
