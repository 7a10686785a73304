#!/bin/sh
# Makes .sd-scripts: the part of kohya's trainer, which is no package, that a recorder runs (make fixtures). Running it again changes nothing.
set -eu
cd "$(dirname "$0")/../.."
if [ ! -e .sd-scripts/library/strategy_sd.py ]; then
	rm -rf .sd-scripts
	git init --quiet .sd-scripts
	git -C .sd-scripts fetch --quiet --depth 1 --filter blob:limit=1m https://github.com/kohya-ss/sd-scripts 48d368fa557731ad0488c07304dfeba8c07910eb
	git -C .sd-scripts checkout --quiet FETCH_HEAD -- networks library
fi
