#!/usr/bin/env bash
# Builds into a folder:  tools/build.sh DIR [meson options...] [-- targets...]
#
# Prints nothing unless it fails. Options that the folder does not have yet are set; the distribution's
# tools come before whatever else is on the PATH. JOBS bounds how much runs at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=/usr/bin:/bin:$PATH
dir=$1
shift
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
done
[ $# = 0 ] || shift

for tool in meson ninja; do
    if ! command -v $tool >/dev/null; then
        echo "$tool is not installed; tools/install.sh run installs what the build needs." >&2
        exit 1
    fi
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
known=$dir/ottla-options # those given so far
set_up=
[ -f "$dir/build.ninja" ] || set_up="meson setup"
for option in "${options[@]}"; do
    grep -qsxF -- "$option" "$known" || set_up=${set_up:-meson setup --reconfigure}
done
if [ -n "$set_up" ]; then
    if ! $set_up "$dir" "${options[@]}" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        echo "The build could not be set up; tools/install.sh run installs what it needs." >&2
        exit 1
    fi
    printf '%s\n' "${options[@]}" >>"$known"
fi
if ! ninja -C "$dir" -j "${JOBS:-$(nproc)}" --quiet "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    exit 1
fi
[ ! -e "$dir/src/bin/ottla" ] || ln -sf src/bin/ottla "$dir/ottla"
