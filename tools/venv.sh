#!/usr/bin/env bash
# Makes .cache/venv with the Python packages of tests/requirements.txt (pinned), and again whenever
# that list or the interpreter changes.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.cache/venv
wanted=$({ /usr/bin/python3 --version && cat tests/requirements.txt; })
if [ -f "$venv/made-of" ] && [ "$wanted" = "$(cat "$venv/made-of")" ]; then
    exit 0
fi
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --retries 10 --only-binary :all: \
    -r tests/requirements.txt
printf '%s\n' "$wanted" >"$venv/made-of"
