#!/bin/sh
# Installs Chromium from the distribution's packages, for the browser test.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
apt-get update -qq
apt-get install -y -qq chromium
