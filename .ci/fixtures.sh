#!/bin/sh
# Records every reference fixture again: each testdata/record_*.py writes its files beside itself.
set -eu
docker/steps/sd-scripts.sh
for script in $(find kernel lohakit -path '*/testdata/record_*.py' | sort); do
    echo "$script"
    .venv-reference/bin/python "$script"
done
