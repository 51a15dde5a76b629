"""The Java clients (newest 4.x) and franz-go: programs that print a line per check."""
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, ".cache")

JAVA_CHECKS = ["codecs", "recompression", "log append time", "large", "tombstones", "wide", "times",
               "admin", "transactions", "offsets in transactions", "fencing",
               "administration of transactions"]
GO_CHECKS = ["codecs", "partitions", "large", "tombstones", "times", "admin", "transactions",
             "offsets in transactions"]


@pytest.fixture(scope="module")
def java_lines(shared_node):
    target = os.path.join(CACHE, "java-clients")
    subprocess.run(["mvn", "-q", "-f", os.path.join(HERE, "java", "pom.xml"), "compile",
                    "dependency:copy-dependencies", f"-DoutputDirectory={target}/lib",
                    f"-Dproject.build.directory={target}"],
                   check=True, timeout=280)
    classes = os.path.join(HERE, "java", "target", "classes")
    if not os.path.isdir(classes):
        classes = os.path.join(target, "classes")
    run = subprocess.run(["java", "-Xmx512m", "-cp", f"{classes}:{target}/lib/*", "ottla.Clients",
                          shared_node.bootstrap], capture_output=True, text=True, timeout=280)
    return run.stdout


@pytest.fixture(scope="module")
def go_lines(shared_node):
    tools = os.path.join(CACHE, "venv", "bin")
    program = os.path.join(CACHE, "go-clients")
    subprocess.run([os.path.join(tools, "go"), "build", "-o", program, "."],
                   cwd=os.path.join(HERE, "go"), check=True, timeout=280,
                   env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"})
    run = subprocess.run([program, shared_node.bootstrap], capture_output=True, text=True,
                         timeout=280)
    return run.stdout


@pytest.mark.parametrize("check", JAVA_CHECKS)
@pytest.mark.timeout(600)
def test_java(java_lines, check):
    assert f"{check}: ok" in java_lines.splitlines(), java_lines


@pytest.mark.parametrize("check", GO_CHECKS)
@pytest.mark.timeout(600)
def test_franz_go(go_lines, check):
    assert f"{check}: ok" in go_lines.splitlines(), go_lines
