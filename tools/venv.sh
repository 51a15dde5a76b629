#!/usr/bin/env bash
# Makes .cache/venv with the Python packages of tests/requirements.txt (pinned), and again whenever
# that list changes.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.cache/venv
if [ -f "$venv/requirements.txt" ] && cmp -s tests/requirements.txt "$venv/requirements.txt"; then
    exit 0
fi
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
cp tests/requirements.txt "$venv/requirements.txt"
