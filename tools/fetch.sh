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
again mvn -q -B -f tests/cluster/java/pom.xml compile dependency:copy-dependencies \
    -DoutputDirectory="$PWD/.cache/java-clients/lib"
mkdir -p .cache/node-clients
cp tests/cluster/node/package*.json .cache/node-clients/
(cd .cache/node-clients && again npm ci --silent --prefer-offline --ignore-scripts --no-audit --no-fund)
cd tests/cluster/go
GOFLAGS=-mod=readonly again go build -o ../../../.cache/go-clients .
GOFLAGS=-mod=readonly again go build -o ../../../.cache/go-member ./member
GOFLAGS=-mod=readonly again go build -o ../../../.cache/go-exactly-once ./exactlyonce
