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


def produce(node, topic, lines):
    subprocess.run(["kcat", "-b", node.bootstrap, "-P", "-t", topic, "-K:"], text=True, check=True,
                   input="".join(line + "\n" for line in lines), timeout=60)


def test_consume(node):
    """Two runs of one group: the second goes on behind the first."""
    node.create_topic("read", 1)
    produce(node, "read", [f"k{n}:v{n}" for n in range(5)])
    done = run("consume", node.bootstrap, "readers", "read", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"read-0@{n} k{n} = v{n}" for n in range(5)]
    assert done.stderr.splitlines() == ["now mine: read-0", "no more: read-0"]
    produce(node, "read", ["more:still"])
    again = run("consume", node.bootstrap, "readers", "read", "1")
    assert again.stdout == "read-0@5 more = still\n", again.stderr
    assert run("consume").returncode == 2


def test_consume_until_it_is_stopped(node):
    node.create_topic("stopped", 1)
    produce(node, "stopped", ["one:two"])
    process = subprocess.Popen([os.path.join(EXAMPLES, "example_consume"), node.bootstrap, "stopping",
                                "stopped"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "stopped-0@0 one = two\n"
    process.terminate()
    assert process.wait(20) == 0


def test_request_reply(node):
    node.create_topic("requests", 2)
    node.create_topic("replies", 3)
    server = subprocess.Popen([os.path.join(EXAMPLES, "example_request_reply"), node.bootstrap, "serve",
                               "requests", "3"])
    for text in ["how are you", "fine", "and you"]:
        done = run("request_reply", node.bootstrap, "ask", "requests", "replies", text)
        assert done.stdout == text.upper() + "\n", done.stderr
    assert server.wait(30) == 0


def test_produce(node):
    node.create_topic("written", 1)
    program = os.path.join(EXAMPLES, "example_produce")
    done = subprocess.run([program, node.bootstrap, "written", "compression.type=zstd"],
                          input="".join(f"k{n}\tv{n}\n" for n in range(1000)) + "no key\n\n",
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1002 delivered, 0 failed\n", "")
    read = subprocess.run(["kcat", "-b", node.bootstrap, "-C", "-t", "written", "-e", "-q",
                           "-f", "%o %k=%s\n"], capture_output=True, text=True, timeout=60)
    assert read.stdout.splitlines() == [f"{n} k{n}=v{n}" for n in range(1000)] \
        + ["1000 =no key", "1001 ="]
    for arguments, code, text in [(["written", "linger.mss=1"], 1, "linger.ms"),
                                  (["written", "acks"], 0, ""), ([], 2, "usage")]:
        done = subprocess.run([program, node.bootstrap, *arguments], input="", text=True,
                              capture_output=True, timeout=60)
        assert done.returncode == code and text in done.stderr
