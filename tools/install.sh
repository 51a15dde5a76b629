#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs:  tools/install.sh run|test
#
# Without root it prints the exact line to run and goes on with what is there. Packages of the
# language registries (Python, Go, Maven) are installed by the tests that use them, pinned, into
# .cache/.
set -euo pipefail

run="meson ninja-build pkg-config gcc libc6-dev libssl-dev zlib1g-dev libsnappy-dev liblz4-dev
     libzstd-dev libjansson-dev libmicrohttpd-dev kcat python3"
test="$run libcmocka-dev clang-14 clang-format-14 libclang-rt-14-dev llvm-14 openjdk-17-jdk-headless
      maven python3-venv util-linux iproute2 git"

case ${1:-} in
run) wanted=$run ;;
test) wanted=$test ;;
*)
    echo "usage: tools/install.sh run|test" >&2
    exit 2
    ;;
esac

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state:0:2}" = ii ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "These packages are missing; as root, run:"
    echo "    apt-get update && $line"
    echo "Going on with what is there."
    exit 0
fi
echo "Installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive $line; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; the line was: $line" >&2
    exit 1
fi
