#!/usr/bin/env bash
# Fetches, once, what tests need from the registries of Maven, Go and npm, and compiles the test programs
# that are written in Java and Go, so that no test waits for the network.
set -euo pipefail
cd "$(dirname "$0")/.."
eval "$(/usr/bin/python3 tools/toolchain.py)"

again() { "$@" || { sleep 5; "$@"; }; } # a registry may fail once

again tests/kafka/kafka install
for profile in baseline overlay; do
    again mvn -q -B -f tests/compat/java-codec/pom.xml -P $profile compile dependency:build-classpath \
        -Dmdep.outputFile="$PWD/.cache/java-codec-$profile.classpath"
done
again python3 tests/cluster/builds.py
