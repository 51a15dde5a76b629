"""What a port on the internet sees. Whoever misbehaves is shown the door; others do not notice."""
import functools
import os
import random
import struct
import time

import pytest
import zstandard

from raw import (API_VERSIONS, FETCH, LIST_OFFSETS, METADATA, PRODUCE, Connection, Neighbour,
                 Reader, array, batch, batch_of, eventually, fetch_body, frame, gzip, header,
                 produce_body, read_all, record, resident, text, unsigned)

# Under the address sanitizer memory is not what the node asked for.
SANITIZED = "asan" in os.environ.get("OTTLA", "")
BOTH_LISTENERS = ("port", "controller_port")


def grown(node, before):
    """MiB more than before, for asserting; nothing under the sanitizer."""
    return 0 if SANITIZED else resident(node) - before


@pytest.fixture
def calm(node):
    """A node that was used once, so that what it needs anyway is there."""
    node.create_topic("warm")
    with Connection(node.port) as connection:
        connection.produce("warm", batch(b"x" * 100000))
        connection.fetch("warm", 0)
    return node


# --- frames (H15) ---

@pytest.mark.parametrize("port", BOTH_LISTENERS)
def test_garbage(calm, port):
    chance = random.Random(1)
    with Neighbour(calm):
        for _ in range(100):
            with Connection(getattr(calm, port)) as connection:
                try:
                    connection.send(chance.randbytes(chance.randint(1, 3000)))
                except ConnectionError:
                    pass


def test_requests_of_other_protocols(calm):
    with Neighbour(calm):
        for greeting in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
                         b"SSH-2.0-OpenSSH_9.2\r\n"):
            with Connection(calm.port) as connection:
                connection.send(greeting)
                assert connection.ended()
    assert "is it a Kafka client, speaking plaintext?" in calm.log()


@pytest.mark.parametrize("size", [-1, -2**31, 2**31 - 1, 104857601])
def test_frame_lengths_that_cannot_be(calm, size):
    before = resident(calm)
    with Neighbour(calm):
        for port in BOTH_LISTENERS:
            with Connection(getattr(calm, port)) as connection:
                connection.send(struct.pack(">i", size) + b"\0" * 16)
                assert connection.ended()
        assert f"a frame of {size} bytes is not between 0 and socket.request.max.bytes " \
            "(104857600)" in calm.log()
        assert grown(calm, before) < 10


def test_half_frames_hold_only_what_came(calm):
    """200 connections announce 100 MiB each and send almost nothing."""
    before = resident(calm)
    connections = [Connection(calm.port) for _ in range(200)]
    with Neighbour(calm):
        for i, connection in enumerate(connections):
            connection.send(struct.pack(">i", 104857600) + b"\0" * i)
        time.sleep(0.3)
        assert grown(calm, before) < 20
        for i, connection in enumerate(connections):
            connection.reset() if i % 2 else connection.close()


def test_a_frame_byte_by_byte(calm):
    with Neighbour(calm), Connection(calm.port) as connection:
        for byte in frame(header(API_VERSIONS, 0, 77)) * 2:
            connection.send(bytes([byte]))
        for _ in range(2):
            assert connection.receive()[:4] == struct.pack(">i", 77)


def test_frames_without_a_header(calm):
    with Neighbour(calm):
        for size in range(8):
            with Connection(calm.port) as connection:
                connection.send(frame(b"\0" * size))
                assert connection.ended()


def test_clients_that_leave_in_the_middle(calm):
    big = frame(header(PRODUCE, 7, 1) + produce_body("warm", batch(b"x" * 500000)))
    with Neighbour(calm):
        for i in range(200):
            connection = Connection(calm.port)
            if i % 4 == 0:
                connection.send(big[:len(big) * i // 200])
            elif i % 4 == 1:
                connection.send(big)
            elif i % 4 == 2:
                connection.request(FETCH, 11, fetch_body("warm", 10**6, wait_ms=60000))
            else:
                connection.request(FETCH, 11, fetch_body("warm", 0, wait_ms=60000,
                                                         size_min=1 << 30))
                connection.send(big)
            connection.reset() if i % 3 else connection.close()
    eventually(lambda: calm.metric("ottla_connections") == 0, what="connections are left")
    eventually(lambda: calm.metric("ottla_request_bytes") == 0, what="request memory is left")
    with Connection(calm.port) as connection:
        read_all(connection, "warm")


# --- what a request says ---

@pytest.mark.parametrize("key,version", [(-1, 0), (1000, 0), (8, 0), (17, 0), (PRODUCE, 99),
                                         (FETCH, 3), (METADATA, -1), (32767, 32767)])
def test_unknown_apis_and_versions_end_the_connection(calm, key, version):
    with Neighbour(calm), Connection(calm.port) as connection:
        connection.send(frame(header(key, version)))
        assert connection.ended()
        assert f"api key {key}, version {version}" in calm.log()


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(calm):
    for version in (99, -5):
        with Connection(calm.port) as connection:
            answer = connection.call(API_VERSIONS, version)
            assert answer.take("h") == 35
            assert answer.take("i") > 0


def test_array_counts_are_not_believed(calm):
    """H1: the count is there, the elements are not."""
    before = resident(calm)
    with Neighbour(calm):
        for count in (2**31 - 1, 2**30, 10**8, -2, -2**31):
            for key, version, body in ((METADATA, 0, b""), (LIST_OFFSETS, 1, struct.pack(">i", -1)),
                                       (PRODUCE, 7, text(None) + struct.pack(">hi", 1, 1)),
                                       (FETCH, 11, struct.pack(">iiiibii", -1, 0, 1, 1, 0, 0, -1)),
                                       (19, 2, b""), (20, 1, b""), (32, 1, b""), (37, 0, b"")):
                with Connection(calm.port) as connection:
                    connection.send(frame(header(key, version) + body +
                                          struct.pack(">i", count) + b"\0\1a"))
                    assert connection.ended()
        assert grown(calm, before) < 20


def test_compact_array_counts_are_not_believed(calm):
    before = resident(calm)
    with Neighbour(calm):
        for count in (2**32 - 1, 2**31, 2**28):
            with Connection(calm.port) as connection:
                connection.send(frame(header(METADATA, 12, flexible=True) + unsigned(count)))
                assert connection.ended()
        assert grown(calm, before) < 20


def tagged(count, size):
    return unsigned(count) + b"".join(unsigned(tag + 100) + unsigned(size) + b"t" * size
                                      for tag in range(count))


def test_thousands_of_unknown_tags(calm):
    """H2: a few are skipped, in the header and in the body; nobody means thousands."""
    before = resident(calm)
    head = struct.pack(">hhi", METADATA, 12, 5) + text("c")
    body = unsigned(1) + b"\1\0"
    with Neighbour(calm), Connection(calm.port) as connection:
        for count, size in ((60, 4), (5, 1000000)):
            connection.send(frame(head + tagged(count, size) + body + tagged(count, size)))
            assert connection.receive()[:4] == struct.pack(">i", 5)
        for tags in ((head + tagged(5000, 4)), (head + b"\0" + body + tagged(200000, 0))):
            with Connection(calm.port) as other:
                other.send(frame(tags))
                assert other.ended()
        assert grown(calm, before) < 60


def test_tags_that_lie(calm):
    with Neighbour(calm):
        for tags in (unsigned(2**32 - 1), unsigned(1) + unsigned(0) + unsigned(2**31),
                     b"\xff" * 20, unsigned(2) + b"\5\1x" + b"\4\1x"):
            with Connection(calm.port) as connection:
                connection.send(frame(struct.pack(">hhi", METADATA, 12, 5) + text("c") + tags))
                assert connection.ended()


def test_a_large_honest_request_delays_nobody_much(calm):
    """Tens of thousands of names, many of them twice."""
    names = array([text("t%d" % (i % 10000)) for i in range(30000)])
    partitions = array([struct.pack(">iq", i % 1000, -1) for i in range(50000)])
    with Neighbour(calm) as neighbour, Connection(calm.port, timeout=60) as connection:
        before = resident(calm)
        connection.call(METADATA, 4, names + b"\0")
        connection.call(LIST_OFFSETS, 1, struct.pack(">i", -1) +
                        array([text("warm") + partitions]))
        connection.call(20, 1, names + struct.pack(">i", 10000))
        connection.call(32, 1, array([struct.pack(">b", 2) + text("t%d" % i) + array([text("a")])
                                      for i in range(20000)]) + b"\0")
        neighbour.check(seconds=20 if SANITIZED else 5)
        assert grown(calm, before) < 500


# --- records ---

@functools.lru_cache
def bombs():
    zeros = b"\0" * (1 << 20)
    squeeze = zstandard.ZstdCompressor().compressobj()
    zstd = b"".join(squeeze.compress(zeros) for _ in range(2048)) + squeeze.flush()
    body = b"\0\0\0\0" + (2**31 - 1).to_bytes(5, "big")
    return {
        "gzip of 400 MiB": (1, gzip(record(zeros * 400))),
        "zstd of 2 GiB": (4, zstd),
        "zstd that says 2 GiB": (4, b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 31) + b"\1\0\0"),
        "snappy chunk of 4 GiB": (2, b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" +
                                  struct.pack(">i", 2**31 - 1) + b"xxxx"),
        "snappy chunk below 0": (2, b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + struct.pack(">i", -5) + b"x"),
        "snappy that says 4 GiB": (2, b"\xff\xff\xff\xff\x0f" + b"x" * 10),
        "lz4 that is cut": (3, b"\x04\x22\x4d\x18\x60\x70\x73\xff\xff\xff\x7f"),
        "record of 2 GiB": (0, unsigned(2**32 - 2) + body),
        "gzip that is cut": (1, gzip(record(zeros))[:-100]),
    }


@pytest.mark.parametrize("name", (
    "gzip of 400 MiB", "zstd of 2 GiB", "zstd that says 2 GiB", "snappy chunk of 4 GiB",
    "snappy chunk below 0", "snappy that says 4 GiB", "lz4 that is cut", "record of 2 GiB",
    "gzip that is cut"))
def test_compressed_bombs(calm, name):
    """H3. Refused with an error of the partition; memory stays where it is."""
    codec, records = bombs()[name]
    before = resident(calm)
    with Neighbour(calm) as neighbour, Connection(calm.port, timeout=60) as connection:
        for _ in range(2):
            error, _ = connection.produce("warm", batch_of(records, 1, codec))
            assert error in (2, 10, 87), name  # corrupt, too large, invalid record
        assert grown(calm, before) < 80
        neighbour.check(seconds=20 if SANITIZED else 5)
        assert connection.produce("warm", batch(b"good"))[0] == 0


def test_batches_whose_counts_lie(calm):
    good = batch(b"a", b"b")
    with Neighbour(calm), Connection(calm.port) as connection:
        for count in (-1, 0, 1, 3, 2**31 - 1):
            error, _ = connection.produce("warm", batch_of(good[61:], count))
            assert error in (2, 87), count
        for cut in (1, 12, 17, 60, len(good) - 1):
            error, _ = connection.produce("warm", good[:cut])
            assert error in (2, 87), cut
        for place in range(8, len(good)):
            flipped = bytearray(good)
            flipped[place] ^= 0x10
            error, _ = connection.produce("warm", bytes(flipped))
            assert (error == 0) == (12 <= place < 16), place  # the leader epoch is the node's
        read_all(connection, "warm")


# --- slow and greedy ---

def test_readers_that_do_not_read(calm):
    """30 connections ask for a MiB again and again, and look at nothing."""
    calm.create_topic("large")
    with Connection(calm.port) as connection:
        for _ in range(20):
            connection.produce("large", batch(os.urandom(500000)))
    before = resident(calm)
    with Neighbour(calm):
        readers = [Connection(calm.port, receive_buffer=4096) for _ in range(30)]
        for reader in readers:
            reader.socket.setblocking(False)
            try:
                for _ in range(2000):
                    reader.request(FETCH, 11, fetch_body("large", 0))
            except BlockingIOError:
                pass
        time.sleep(1)
        assert grown(calm, before) < 60
        reader = readers[0]
        reader.socket.settimeout(30)
        for number in range(1, 40):  # whoever reads after all gets all of it, in order
            assert Reader(reader.receive()).take("i") == number
        for reader in readers:
            reader.close()
    eventually(lambda: calm.metric("ottla_request_bytes") == 0, what="request memory is left")


def test_a_flood_of_requests(calm):
    """As many requests as the socket takes, answers not looked at until later."""
    one = frame(header(API_VERSIONS, 0, 1))
    before = resident(calm)
    with Neighbour(calm), Connection(calm.port) as connection:
        connection.socket.setblocking(False)
        sent, stop = 0, time.monotonic() + 2
        while time.monotonic() < stop:
            try:
                sent += connection.socket.send((one * 101)[sent % len(one):])
            except BlockingIOError:
                time.sleep(0.01)
        assert sent > 1000 * len(one)
        assert grown(calm, before) < 30
        connection.socket.settimeout(30)
        for _ in range(sent // len(one)):
            connection.receive()


def test_a_crowd_that_floods(calm):
    """Fifty connections send large produce requests without waiting for an answer."""
    before = resident(calm)
    big = frame(header(PRODUCE, 7, 1) + produce_body("warm", batch(b"x" * 900000)))
    with Neighbour(calm) as neighbour:
        crowd = [Connection(calm.port) for _ in range(50)]
        for connection in crowd:
            connection.socket.setblocking(False)
        stop = time.monotonic() + 3
        left = [b""] * len(crowd)
        while time.monotonic() < stop:
            for i, connection in enumerate(crowd):
                left[i] = left[i] or big
                try:
                    left[i] = left[i][connection.socket.send(left[i]):]
                except BlockingIOError:
                    pass
        assert grown(calm, before) < 600
        neighbour.check(seconds=20 if SANITIZED else 8)
        for connection in crowd:
            connection.close()
        neighbour.check(seconds=20 if SANITIZED else 8)


def test_fetches_that_name_everything(calm):
    """One fetch with 10,000 partitions, most of which do not exist, and many sessions."""
    calm.create_topic("wide", partitions=50)
    topics = array([text("wide") + array([
        struct.pack(">iiqqi", i, -1, 0, -1, 1 << 20) for i in range(10000)])])
    with Neighbour(calm):
        for _ in range(20):
            with Connection(calm.port) as connection:
                connection.request(FETCH, 11, struct.pack(">iiiibii", -1, 100, 1, 1 << 20, 0, 0, 0) +
                                   topics + array([]) + text(""))
                assert len(connection.receive()) > 100000


def offset_commit(names):
    return 8, 2, text("g") + struct.pack(">i", -1) + text("") + struct.pack(">q", -1) + array(
        [text(name) + array([struct.pack(">iq", 7, 0) + text(None)]) for name in names])


def offset_delete(names):
    return 47, 0, text("g") + array([text(name) + array([struct.pack(">i", 7)]) for name in names])


def txn_offset_commit(names):
    return 28, 0, text("t") + text("g") + struct.pack(">qh", 1, 0) + array(
        [text(name) + array([struct.pack(">iq", 7, 0) + text(None)]) for name in names])


def write_txn_markers(names):
    topics = b"".join(unsigned(len(name) + 1) + name.encode() + unsigned(2) +
                      struct.pack(">i", 7) + b"\0" for name in names)
    return 27, 1, unsigned(2) + struct.pack(">qhb", 1, 0, 1) + unsigned(len(names) + 1) + \
        topics + struct.pack(">i", 0) + b"\0\0"


@pytest.mark.parametrize("body", [offset_commit, offset_delete, txn_offset_commit,
                                  write_txn_markers])
def test_topics_that_are_named_in_turn(calm, body):
    """Two topics, again and again: what is answered of each is gathered, in linear memory."""
    key, version, request = body(["a", "b"] * 8000)
    before = resident(calm)
    with Neighbour(calm), Connection(calm.port) as connection:
        connection.request(key, version, request, flexible=key == 27)
        assert len(connection.receive()) > (16000 * 6 if body != offset_delete else 0)
        assert grown(calm, before) < 30


def test_markers_for_everything(calm):
    """More partitions than a broker has, in one request: it costs a connection."""
    before = resident(calm)
    partitions = struct.pack(">i", 0) * 200000
    with Neighbour(calm), Connection(calm.port) as connection:
        connection.request(27, 1, unsigned(2) + struct.pack(">qhb", 1, 0, 1) + unsigned(2) +
                           b"\x05warm" + unsigned(200001) + partitions + b"\0" +
                           struct.pack(">i", 0) + b"\0\0", flexible=True)
        assert connection.ended()
        assert grown(calm, before) < 30
    assert "markers" in calm.log()


def test_filters_without_end(calm):
    """Each shard of the transaction coordinators looks at them, and nobody waits for that."""
    words = unsigned(100001) + (unsigned(8) + b"Ongoinx") * 100000
    ids = unsigned(500001) + b"".join(struct.pack(">q", -i) for i in range(500000))
    with Connection(calm.port) as connection:
        connection.request(22, 0, text("t") + struct.pack(">i", 1000))
        connection.receive()
        connection.request(8, 2, offset_commit([])[2])
        connection.receive()
        before = resident(calm)
        for key, version, body in [(66, 0, unsigned(1) + ids), (66, 0, words + unsigned(1)),
                                   (16, 5, words + unsigned(1)), (16, 5, unsigned(1) + words)]:
            started = time.monotonic()
            connection.request(key, version, body + b"\0", flexible=True)
            assert len(connection.receive()) > 10
            assert SANITIZED or time.monotonic() - started < 1
        assert grown(calm, before) < 40


def test_a_batch_of_transactions_without_end(calm):
    before = resident(calm)
    name = b"x" * 100
    one = unsigned(len(name) + 1) + name + struct.pack(">qhb", 1, 0, 0) + unsigned(1) + b"\0"
    many = text("t") + struct.pack(">qh", 1, 0) + array(
        [text("warm") + array([struct.pack(">i", 0)] * 100001)])
    with Neighbour(calm):
        with Connection(calm.port) as connection:
            connection.request(24, 4, unsigned(30001) + one * 30000 + b"\0", flexible=True)
            assert connection.ended()
        with Connection(calm.port) as connection:
            connection.request(24, 0, many)
            assert connection.ended()
        assert grown(calm, before) < 30
    assert calm.log().count("it adds to more transactions") == 2


def test_no_request_body_is_logged(make_node):
    """H8, at the highest level, for requests that are fine and for those that are not."""
    node = make_node(**{"ottla.log.level": "debug"}).start()
    node.create_topic("t")
    secret = b"SECRET-7f3a"
    with Connection(node.port) as connection:
        assert connection.produce("t", batch(secret * 3))[0] == 0
        broken = bytearray(batch(secret))
        broken[-1] ^= 1
        assert connection.produce("t", bytes(broken))[0] != 0
    with Connection(node.port) as connection:
        connection.send(frame(header(PRODUCE, 7) + b"\0\x0b" + secret + b"\xff" * 10))
        assert connection.ended()
    with Connection(node.port) as connection:
        connection.send(secret * 10)
        assert connection.ended()
    assert secret.decode() not in node.log()
