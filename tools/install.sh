#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs:  tools/install.sh run|test
#
# Without root it prints the exact line to run and goes on with what is there. Packages of the
# language registries (Python, Go, Maven) are fetched by the tests that use them, pinned.
set -euo pipefail

run="meson ninja-build pkg-config gcc libc6-dev libssl-dev zlib1g-dev libsnappy-dev liblz4-dev
     libzstd-dev libjansson-dev libmicrohttpd-dev libpcre2-dev libxxhash-dev kcat python3"
test="$run libcmocka-dev clang-14 clang-format-14 libclang-rt-14-dev llvm-14 openjdk-17-jdk-headless
      maven python3-venv util-linux iproute2 git ca-certificates"

case ${1:-} in
run) wanted=$run ;;
test) wanted=$test ;;
*)
    echo "usage: tools/install.sh run|test" >&2
    exit 2
    ;;
esac

# Of a package that was never heard of, dpkg-query prints nothing.
installed=" $(dpkg-query -W -f='${Package}=${db:Status-Abbrev} ' $wanted 2>/dev/null || true)"
missing=
for package in $wanted; do
    [[ $installed = *" $package=ii"* ]] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "This is no Debian; what is needed goes there by these names:$missing"
    echo "Going on with what is there."
    exit 0
elif [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "These packages are missing; as root, run:"
    echo "    apt-get update && $line"
    echo "Going on with what is there."
    exit 0
fi

echo "Installing:$missing" | fold -s -w 96
log=$(mktemp)
trap 'rm -f "$log"' EXIT
options="-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
# A source of the machine's that cannot be reached need not be one of these packages'.
$as_root apt-get $options update >"$log" 2>&1 || true
if ! $as_root env DEBIAN_FRONTEND=noninteractive $line $options >>"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; the line was: $line" >&2
    exit 1
fi
