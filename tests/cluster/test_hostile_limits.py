"""Limits of the settings: each holds, and those that may change do so without a restart."""
import os
import resource
import select
import socket
import struct
import time

import pytest

import node as node_module
from raw import (API_VERSIONS, CREATE_TOPICS, FETCH, PRODUCE, Connection, Neighbour, array, batch,
                 eventually, fetch_body, frame, header, produce_body, resident, text)

SANITIZED = "asan" in os.environ.get("OTTLA", "")


def is_open(connection, seconds=0.3):
    """Whether the node has not closed it; for one that has no answers to get."""
    readable, _, _ = select.select([connection.socket], [], [], seconds)
    if not readable:
        return True
    try:
        return connection.socket.recv(1, socket.MSG_PEEK) != b""
    except ConnectionError:
        return False


def let_in(node, source):
    try:
        with Connection(node.port, source=source) as connection:
            return served(connection)
    except ConnectionError:
        return False


def served(connection):
    connection.socket.settimeout(0.5)
    try:
        connection.call(API_VERSIONS, 0)
        return True
    except (TimeoutError, ConnectionError):
        return False


def alter(node, name, value, kind=4, resource_name=""):
    answer = node.rpc("IncrementalAlterConfigs", {"resources": [{
        "resourceType": kind, "resourceName": resource_name, "configs": [
            {"name": name, "configOperation": 0, "value": str(value)}]}]})
    assert answer["responses"][0]["errorCode"] == 0, answer


# --- connections ---

def test_ten_thousand_connections(make_node):
    """All at once: idle, then each with a request; what they cost, and that nobody is hurt."""
    count = 2000 if SANITIZED else 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = []
    try:
        # With Kafka's backlog of 50 this client would fill the queue and wait for its kernel.
        node = make_node(socket__listen__backlog__size=4096).start()
        before = resident(node)
        with Neighbour(node) as neighbour:
            started = time.monotonic()
            # Spread over addresses: one has no more than some 28,000 ports to connect from.
            crowd = [Connection(node.port, source=f"127.0.0.{2 + i % 8}") for i in range(count)]
            eventually(lambda: node.metric("ottla_connections") > count, 60)
            idle = resident(node) - before
            print(f"{count} connections in {time.monotonic() - started:.1f} s, "
                  f"{idle * 1024 / count:.1f} KiB each while idle")
            for connection in crowd:
                connection.request(API_VERSIONS, 0, b"")
            for connection in crowd:
                assert connection.receive()[:4] == struct.pack(">i", 1)
            used = resident(node) - before
            print(f"{used * 1024 / count:.1f} KiB each after a request")
            if not SANITIZED:
                assert idle * 1024 / count < 16
                assert used * 1024 / count < 32
            neighbour.check()
            for connection in crowd:
                connection.close()
            eventually(lambda: node.metric("ottla_connections") == 1, 30)
    finally:
        for connection in crowd:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("port", ["port", "controller_port"])
def test_a_crowd_leaves_file_descriptors_for_the_logs(make_node, monkeypatch, tmp_path, port):
    """Clients wait until there are descriptors again; whoever is in is served, with new files."""
    script = tmp_path / "few-files"
    script.write_text(f'#!/bin/sh\nulimit -n 256\nexec {node_module.OTTLA} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(node_module, "OTTLA", str(script))
    node = make_node(log__segment__bytes=1048576, socket__listen__backlog__size=1000).start()
    with Neighbour(node):
        admin = Connection(node.port)
        crowd = [Connection(getattr(node, port)) for _ in range(300)]
        assert all(served(connection) for connection in crowd[:50])
        assert not served(crowd[-1])
        topics = array([text("t%d" % i) + struct.pack(">ih", 10, 1) + array([]) + array([])
                        for i in range(20)])
        admin.call(CREATE_TOPICS, 2, topics + struct.pack(">ib", 10000, 0))
        for i in range(100):
            for _ in range(3):
                error, _ = admin.produce("t%d" % (i // 5), batch(b"x" * 500000), partition=i % 5)
                assert error == 0, i
        for connection in crowd[:-1]:
            connection.close()
        crowd[-1].socket.settimeout(10)
        crowd[-1].receive()  # what it asked for before
    assert "no file descriptor left to accept a connection" in node.log()


def test_max_connections(make_node):
    """The node takes no more; the next waits in the kernel until one leaves."""
    node = make_node(max__connections=10).start()
    inside = [Connection(node.port) for _ in range(10)]
    assert all(served(connection) for connection in inside)
    late = Connection(node.port)
    assert not served(late)
    inside.pop().close()
    late.socket.settimeout(10)
    late.receive()
    inside.append(late)
    later = [Connection(node.port) for _ in range(3)]
    assert not served(later[-1])
    # Changing it goes over the controller's listener, which does not count.
    answer = node.rpc("IncrementalAlterConfigs", {"resources": [{
        "resourceType": 4, "resourceName": "", "configs": [
            {"name": "max.connections", "configOperation": 0, "value": "100"}]}]},
        address=node.controller)
    assert answer["responses"][0]["errorCode"] == 0
    for connection in later[:2]:
        eventually(lambda: served(connection))


def test_max_connections_per_ip(make_node):
    node = make_node(max__connections__per__ip=5,
                     max__connections__per__ip__overrides="127.0.0.9:2").start()
    inside = [Connection(node.port, source="127.0.0.2") for _ in range(5)]
    assert all(served(connection) for connection in inside)
    assert not let_in(node, "127.0.0.2")
    others = [Connection(node.port, source="127.0.0.3") for _ in range(5)]
    assert all(served(connection) for connection in others)
    few = [Connection(node.port, source="127.0.0.9") for _ in range(2)]
    assert all(served(connection) for connection in few)
    assert not let_in(node, "127.0.0.9")
    assert all(served(connection) for connection in inside)

    alter(node, "max.connections.per.ip", 7)
    eventually(lambda: let_in(node, "127.0.0.2"))
    alter(node, "max.connections.per.ip", 3)
    assert not let_in(node, "127.0.0.2")
    assert all(served(connection) for connection in inside)  # those that are in stay
    answer = node.rpc("IncrementalAlterConfigs", {"resources": [{
        "resourceType": 4, "resourceName": "", "configs": [
            {"name": "max.connections.per.ip", "configOperation": 0, "value": "-1"}]}]})
    assert answer["responses"][0]["errorCode"] == 42
    assert node.metric("ottla_connections_refused_total") >= 3


def test_max_connection_creation_rate(make_node):
    node = make_node(max__connection__creation__rate=20).start()
    started = time.monotonic()
    crowd = [Connection(node.port) for _ in range(60)]
    for connection in crowd:
        connection.request(API_VERSIONS, 0, b"")
    for connection in crowd:
        connection.receive()
    assert time.monotonic() - started > 1


def test_idle_connections_are_closed(make_node):
    node = make_node(connections__max__idle__ms=500).start()
    node.create_topic("t")
    idle, busy, half = (Connection(node.port) for _ in range(3))
    half.send(b"\0\0")
    waiting = Connection(node.port)
    waiting.request(FETCH, 11, fetch_body("t", 0, wait_ms=2000))
    stop = time.monotonic() + 1.5
    while time.monotonic() < stop:
        assert served(busy)
        time.sleep(0.1)
    assert not is_open(idle, 3)
    assert not is_open(half, 3)
    waiting.receive()  # one that waits for an answer is not idle
    assert node.metric("ottla_connections_expired_total") >= 2


# --- requests ---

def test_socket_request_max_bytes(make_node):
    node = make_node(socket__request__max__bytes=100000).start()
    node.create_topic("t")
    with Connection(node.port) as connection:
        assert connection.produce("t", batch(b"x" * 99000))[0] == 0
    with Connection(node.port) as connection:
        try:
            connection.request(PRODUCE, 7, produce_body("t", batch(b"x" * 100000)))
        except ConnectionError:
            pass
        assert connection.ended()
    assert "is not between 0 and socket.request.max.bytes (100000)" in node.log()


def test_queued_max_request_bytes(make_node):
    """Frames of the whole node together are bounded: others wait, none is lost."""
    node = make_node(queued__max__request__bytes=4000000,
                     socket__request__max__bytes=2000000).start()
    node.create_topic("t")
    big = produce_body("t", batch(b"x" * 900000))
    before = resident(node)
    crowd = [Connection(node.port) for _ in range(40)]
    whole = frame(header(PRODUCE, 7, 1) + big)
    left = [whole] * len(crowd)
    for connection in crowd:
        connection.socket.setblocking(False)
    while any(left):  # all side by side, so that many frames are half there
        for i, connection in enumerate(crowd):
            try:
                left[i] = left[i][connection.socket.send(left[i][:100000]):] if left[i] else b""
            except BlockingIOError:
                pass
        # One frame beyond the bound may come to its end; what is whole already counts once more.
        assert node.metric("ottla_request_bytes") <= 1.5 * 4000000 + 2000000 + 1000000
    for connection in crowd:
        connection.socket.settimeout(30)
        connection.receive()
    if not SANITIZED:
        assert resident(node) - before < 40
    assert node.metric("ottla_read_stalls_total") > 0
    eventually(lambda: node.metric("ottla_request_bytes") == 0)


def send_while_it_reads(connections, data, quiet_s=0.5):
    """To all at once, until the node takes nothing more of any; it may close them."""
    left = {connection: data for connection in connections}
    moved = time.monotonic()
    while time.monotonic() - moved < quiet_s:
        for connection, rest in left.items():
            try:
                sent = connection.socket.send(rest) if rest else 0
            except OSError:
                sent = 0
            if sent > 0:
                left[connection] = rest[sent:]
                moved = time.monotonic()
        time.sleep(0.01)


def test_whoever_holds_the_last_bytes_must_go_on(make_node):
    """One that stops in the middle of a frame while others wait for memory is closed."""
    node = make_node(queued__max__request__bytes=2000000,
                     socket__request__max__bytes=2000000).start()
    node.create_topic("t")
    whole = frame(header(PRODUCE, 7, 1) + produce_body("t", batch(b"x" * 900000)))
    lazy = [Connection(node.port) for _ in range(4)]
    for connection in lazy:
        connection.socket.setblocking(False)
    send_while_it_reads(lazy, whole[:-1])
    with Connection(node.port, timeout=60) as connection:
        assert connection.produce("t", batch(b"y" * 500000))[0] == 0
    assert "it stopped sending in the middle of one" in node.log()


def test_queued_max_requests(make_node):
    """Requests that are worked on are bounded; those that wait for data do not count."""
    node = make_node(queued__max__requests=2).start()
    node.create_topic("t")
    waiting = [Connection(node.port) for _ in range(20)]
    for connection in waiting:
        connection.request(FETCH, 11, fetch_body("t", 0, wait_ms=3000))
    with Connection(node.port) as connection:
        started = time.monotonic()
        assert served(connection)
        assert connection.produce("t", batch(b"a"))[0] == 0
        assert time.monotonic() - started < 2
    for connection in waiting:
        connection.receive()


# --- settings that change while the node runs ---

def test_message_max_bytes_changes(make_node):
    node = make_node().start()
    node.create_topic("t")
    node.create_topic("own", max_message_bytes=5000)
    with Connection(node.port) as connection:
        def error(topic, size):
            return connection.produce(topic, batch(b"x" * size))[0]
        assert error("t", 900000) == 0
        assert error("t", 1100000) == 10
        alter(node, "message.max.bytes", 2000000)
        eventually(lambda: error("t", 1100000) == 0)
        assert error("own", 6000) == 10  # its own setting goes before the node's
        alter(node, "max.message.bytes", 7000, 2, "own")
        eventually(lambda: error("own", 6000) == 0)
        alter(node, "message.max.bytes", 1000)
        eventually(lambda: error("t", 1100) == 10)
        assert error("own", 6000) == 0


def segments(node, folder):
    return sorted(name for name in os.listdir(os.path.join(node.folder, "data", folder))
                  if name.endswith(".log"))


@pytest.mark.parametrize("of_topic", [True, False])
def test_retention_changes_and_deletes(make_node, of_topic):
    node = make_node(log__initial__task__delay__ms=0, log__retention__check__interval__ms=100,
                     log__segment__delete__delay__ms=0).start()
    node.create_topic("t", segment_ms=1)
    node.create_topic("other", segment_ms=1, retention_ms=10**9)
    with Connection(node.port) as connection:
        for _ in range(10):
            connection.produce("t", batch(b"a"))
            connection.produce("other", batch(b"a"))
            time.sleep(0.005)
        assert len(segments(node, "t-0")) > 5
        if of_topic:
            alter(node, "retention.ms", 200, 2, "t")
        else:
            alter(node, "log.retention.ms", 200)
        eventually(lambda: len(segments(node, "t-0")) == 1, 10, "old segments stay")
        eventually(lambda: connection.fetch("t", 0)[0] == 1)
        assert connection.produce("t", batch(b"b")) == (0, 10)
        assert len(segments(node, "other-0")) > 5
        assert connection.fetch("other", 0)[0] == 0


def test_retention_bytes_and_delete_records(make_node):
    node = make_node(log__initial__task__delay__ms=0, log__retention__check__interval__ms=100,
                     log__segment__delete__delay__ms=0).start()
    node.create_topic("t", segment_bytes=1048576)
    with Connection(node.port) as connection:
        for _ in range(6):
            connection.produce("t", batch(os.urandom(700000)))
        assert len(segments(node, "t-0")) == 6
        alter(node, "retention.bytes", 1500000, 2, "t")
        eventually(lambda: len(segments(node, "t-0")) == 3)
        answer = node.rpc("DeleteRecords", {"timeoutMs": 10000, "topics": [
            {"name": "t", "partitions": [{"partitionIndex": 0, "offset": -1}]}]})
        assert answer["topics"][0]["partitions"][0]["lowWatermark"] == 6
        eventually(lambda: len(segments(node, "t-0")) == 1)
        assert connection.fetch("t", 5)[0] == 1
        assert connection.fetch("t", 6)[0] == 0
