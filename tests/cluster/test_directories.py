"""Log directories that are full, damaged, somebody else's or in use: what is said, and that everybody
else is served."""
import os
import socket
import subprocess

import pytest

from node import OTTLA
from raw import Connection, Neighbour, batch, eventually, read_all

KAFKA_STORAGE_ERROR = 56
SIZE = 100_000


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "ottla-test", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def refused(node, *arguments):
    """What the node says when it ends at its start."""
    node.launch(*arguments)
    assert node.process.wait(30) == 1, node.log()
    return node.log()


def test_a_full_disk(make_node, small_disk, tmp_path):
    node = make_node(log__dirs=f"{tmp_path / 'large'},{small_disk}").start()
    for name in ("first", "second"):
        node.create_topic(name)
    full, = (name for name in ("first", "second") if (small_disk / f"{name}-0").is_dir())
    filler = small_disk / "filler"
    filler.write_bytes(bytes(4 << 20))
    with Neighbour(node) as neighbour, Connection(node.port) as connection:
        assert (tmp_path / "large" / "neighbour-0").is_dir()
        written = 0
        while (error := connection.produce(full, batch(os.urandom(SIZE)))[0]) == 0:
            written += 1
            assert written * SIZE < 8 << 20
        assert error == KAFKA_STORAGE_ERROR
        assert connection.produce(full, batch(os.urandom(SIZE)))[0] == KAFKA_STORAGE_ERROR
        assert len(read_all(connection, full)) == written
        neighbour.check()
        assert f"The disk of {small_disk} is full" in node.log()
        filler.unlink()
        eventually(lambda: connection.produce(full, batch(b"again"))[0] == 0, 30)
        assert len(read_all(connection, full)) == written + 1
        eventually(lambda: connection.produce(full, batch(b"more"))[0] == 0 and
                   f"The disk of {small_disk} has room again" in node.log(), 30)


def test_a_segment_that_cannot_be_read(make_node):
    node = make_node().start()
    with Connection(node.port) as connection:
        for topic in ("fine", "damaged"):
            node.create_topic(topic)
            assert connection.produce(topic, batch(b"kept")) == (0, 0)
    assert node.stop() == 0
    segment = os.path.join(node.settings["log.dirs"], "damaged-0", "0" * 20 + ".log")
    os.rename(segment, segment + ".away")
    os.mkdir(segment)
    node.start()
    with Neighbour(node), Connection(node.port) as connection:
        assert connection.fetch("damaged", 0)[0] == KAFKA_STORAGE_ERROR
        assert connection.produce("damaged", batch(b"new"))[0] == KAFKA_STORAGE_ERROR
        assert len(read_all(connection, "fine")) == 1
    assert "The log of damaged-0 in" in node.log()
    assert node.stop() == 0
    os.rmdir(segment)
    os.rename(segment + ".away", segment)
    node.start()
    with Connection(node.port) as connection:
        assert len(read_all(connection, "damaged")) == 1


def test_a_directory_in_use(make_node):
    node = make_node().start()
    with Neighbour(node):
        said = refused(make_node("second", log__dirs=node.settings["log.dirs"]))
        assert "another process holds its .lock" in said
        listeners = node.settings["listeners"]
        said = refused(make_node("third", listeners=listeners))
        assert f"the port is held by pid {node.process.pid} (ottla)" in said
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            address = "%s:%d" % holder.getsockname()
            said = refused(make_node("fourth", ottla__http__listener=address))
            assert f"{address} cannot be served: the port is held by pid {os.getpid()}" in said


def test_a_directory_of_another_cluster(make_node, tmp_path):
    node, other = make_node().start(), make_node("other").start()
    assert node.stop() == 0 and other.stop() == 0
    own = node.settings["log.dirs"]
    node.settings["log.dirs"] = f"{own},{other.settings['log.dirs']}"
    assert "belongs to cluster" in refused(node)
    node.settings["log.dirs"] = own
    node.settings["node.id"] = "2"
    assert "belongs to node 1, but node.id is 2: set node.id=1" in refused(node)
    node.settings["node.id"] = "1"
    node.start()


def test_a_directory_that_is_not_formatted(make_node, tmp_path):
    node = make_node(ottla__auto__format="false")
    assert "run: ottla storage format --standalone -t $(ottla storage random-uuid)" in refused(node)
    properties = os.path.join(node.folder, "server.properties")
    made = subprocess.run([OTTLA, "storage", "random-uuid"], capture_output=True, text=True,
                          check=True).stdout.strip()
    command = [OTTLA, "storage", "format", "--standalone", "-t", made, "-c", properties]
    subprocess.run(command, check=True)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "--ignore-formatted" in again.stderr
    node.start()
    assert node.rpc("DescribeCluster")["clusterId"] == made
