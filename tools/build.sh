#!/usr/bin/env bash
# Builds into a folder:  tools/build.sh DIR [meson setup options...]
#
# Prints nothing unless it fails.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
shift
if [ ! -f "$dir/build.ninja" ]; then
    log=$(mktemp)
    if ! meson setup "$dir" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        echo "The build could not be set up; tools/install.sh run installs what it needs." >&2
        exit 1
    fi
    rm -f "$log"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! ninja -C "$dir" --quiet >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
ln -sf src/bin/ottla "$dir/ottla"
