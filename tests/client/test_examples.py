"""examples/, run as their heads say."""
import os
import subprocess

import pytest

from node import OTTLA, Node

EXAMPLES = os.path.join(os.path.dirname(OTTLA), "examples")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node")).start()
    yield node
    assert node.stop() == 0, node.log()


def run(name, *arguments):
    return subprocess.run([os.path.join(EXAMPLES, f"example_{name}"), *arguments],
                          capture_output=True, text=True, timeout=120)


def test_admin(node):
    done = run("admin", node.bootstrap, "toured")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("made toured, id ") and lines[0].endswith(", 3 partitions")
    assert f"broker 1 at 127.0.0.1:{node.port}" in lines[1:]
    wrong = run("admin", node.bootstrap, "no/topic")
    assert wrong.returncode == 1
    assert "create: topic no/topic: " in wrong.stderr
    assert "INVALID_TOPIC_EXCEPTION" in wrong.stderr
    assert run("admin").returncode == 2
