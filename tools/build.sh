#!/usr/bin/env bash
# Builds into a folder:  tools/build.sh DIR [meson setup options...]
#
# Prints nothing but what is new to say: the configuration step is silent unless it fails, and
# ninja prints warnings and errors.
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
ninja -C "$dir" --quiet
ln -sf src/bin/ottla "$dir/ottla"
