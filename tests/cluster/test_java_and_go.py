"""The Java clients (newest 4.x) and franz-go: programs that print a line per check."""
import subprocess

import pytest

import builds

JAVA_CHECKS = ["codecs", "recompression", "log append time", "large", "tombstones", "wide", "times",
               "admin", "transactions", "offsets in transactions", "fencing",
               "administration of transactions"]
GO_CHECKS = ["codecs", "partitions", "large", "tombstones", "times", "admin", "transactions",
             "offsets in transactions"]


@pytest.fixture(scope="module")
def java_lines(shared_node):
    run = subprocess.run([*builds.java("ottla.Clients", "-Xmx512m"), shared_node.bootstrap],
                         capture_output=True, text=True, timeout=280)
    return run.stdout


@pytest.fixture(scope="module")
def go_lines(shared_node):
    run = subprocess.run([*builds.go("go-clients", "."), shared_node.bootstrap],
                         capture_output=True, text=True, timeout=280)
    return run.stdout


@pytest.mark.parametrize("check", JAVA_CHECKS)
@pytest.mark.timeout(600)
def test_java(java_lines, check):
    assert f"{check}: ok" in java_lines.splitlines(), java_lines


@pytest.mark.parametrize("check", GO_CHECKS)
@pytest.mark.timeout(600)
def test_franz_go(go_lines, check):
    assert f"{check}: ok" in go_lines.splitlines(), go_lines
