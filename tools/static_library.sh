#!/usr/bin/env bash
# One archive out of several whose only global names begin with ottla_, so that a program that links it
# may have a list_init of its own:  tools/static_library.sh OUT.a FIRST.a REST.a...
#
# The first archive is taken whole, of the others what it needs.
set -euo pipefail
out=$1
first=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ld -r -o "$folder/libottla.o" --whole-archive "$first" --no-whole-archive --start-group "$@" --end-group
objcopy --wildcard --keep-global-symbol='ottla_*' "$folder/libottla.o"
rm -f "$out"
ar rcsD "$out" "$folder/libottla.o"
