"""Kafka's protocol by hand, for what no client library would send, and a neighbour that behaves."""
import itertools
import socket
import struct
import threading
import time
import zlib

import crc32c

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 2, 3, 18, 19


def text(value):
    return struct.pack(">h", -1) if value is None else \
        struct.pack(">h", len(value)) + value.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def header(key, version, correlation=0, client="raw", flexible=False):
    return struct.pack(">hhi", key, version, correlation) + text(client) + \
        (b"\0" if flexible else b"")


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unsigned(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(value, delta=0, key=None):
    body = b"\0" + varint(0) + varint(delta) + \
        (varint(-1) if key is None else varint(len(key)) + key) + \
        varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch_of(records, count, attributes=0, timestamp=None, producer=(-1, -1, -1)):
    """A batch around encoded records, which may be compressed, or nonsense."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    tail = struct.pack(">hiqqqhii", attributes, count - 1, now, now, *producer, count) + records
    return struct.pack(">qiib", 0, 9 + len(tail), -1, 2) + \
        struct.pack(">I", crc32c.crc32c(tail)) + tail


def batch(*values, **options):
    return batch_of(b"".join(record(value, i) for i, value in enumerate(values)), len(values),
                    **options)


def gzip(data):
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
    return squeeze.compress(data) + squeeze.flush()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, format):
        values = struct.unpack_from(">" + format, self.data, self.at)
        self.at += struct.calcsize(">" + format)
        return values if len(values) > 1 else values[0]

    def bytes(self):
        size = self.take("i")
        self.at += max(size, 0)
        return self.data[self.at - size:self.at] if size >= 0 else None

    def text(self):
        size = self.take("h")
        self.at += max(size, 0)
        return self.data[self.at - size:self.at].decode() if size >= 0 else None


class Connection:
    """One socket. Closed by the other side: ConnectionError."""

    def __init__(self, port, timeout=30, receive_buffer=None, source=None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.correlations = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """The other side sees a reset rather than an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(min(size - len(data), 1 << 20))
            if not chunk:
                raise ConnectionError("closed by the node")
            data += chunk
        return bytes(data)

    def receive(self):
        """The next answer, with its header."""
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def ended(self):
        """Waits for the end of the connection; whatever comes before is dropped."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return True

    def request(self, key, version, body, flexible=False):
        correlation = next(self.correlations)
        self.send(frame(header(key, version, correlation, flexible=flexible) + body))
        return correlation

    def call(self, key, version, body=b""):
        correlation = self.request(key, version, body)
        answer = Reader(self.receive())
        assert answer.take("i") == correlation
        return answer

    def produce(self, topic, records, acks=-1, partition=0):
        """(error, base offset)"""
        answer = self.call(PRODUCE, 7, produce_body(topic, records, acks, partition))
        assert answer.take("i") == 1 and answer.text() == topic and answer.take("i") == 1
        _, error, offset, _, _ = answer.take("ihqqq")
        return error, offset

    def fetch(self, topic, offset, partition=0, **options):
        """(error, high watermark, records)"""
        answer = self.call(FETCH, 11, fetch_body(topic, offset, partition, **options))
        _, error, _ = answer.take("ihi")
        assert error == 0 and answer.take("i") == 1
        answer.text()
        assert answer.take("i") == 1
        _, error, high_watermark, _, _, aborted = answer.take("ihqqqi")
        answer.at += max(aborted, 0) * 16 + 4
        return error, high_watermark, answer.bytes()


def produce_body(topic, records, acks=-1, partition=0):
    return text(None) + struct.pack(">hi", acks, 30000) + array([text(topic) + array([
        struct.pack(">ii", partition, len(records)) + records])])


def fetch_body(topic, offset, partition=0, wait_ms=0, size_min=1, size_max=1 << 20):
    return struct.pack(">iiiibii", -1, wait_ms, size_min, size_max, 0, 0, -1) + \
        array([text(topic) + array([struct.pack(">iiqqi", partition, -1, offset, -1, size_max)])]) \
        + array([]) + text("")


def batches(records):
    """(base offset, last offset, count, whole bytes) of each whole batch."""
    at = 0
    while at + 61 <= len(records):
        base, size = struct.unpack_from(">qi", records, at)
        if at + 12 + size > len(records):
            return
        delta, = struct.unpack_from(">i", records, at + 23)
        count, = struct.unpack_from(">i", records, at + 57)
        yield base, base + delta, count, records[at:at + 12 + size]
        at += 12 + size


def read_all(connection, topic, partition=0, offset=0):
    """All batches of a partition up to its high watermark."""
    found = []
    while True:
        error, high_watermark, records = connection.fetch(topic, offset, partition)
        assert error == 0, f"{topic}-{partition} at {offset}: error {error}"
        if offset >= high_watermark:
            return found
        for item in batches(records):
            found.append(item)
            offset = item[1] + 1


class Neighbour:
    """Somebody who behaves: produces a record, reads it back, rests, again. With it a test says that
    others are being served: all went well, and nobody waited long."""

    def __init__(self, node, topic="neighbour", rest=0.01):
        self.node, self.topic, self.rest = node, topic, rest
        self.count, self.slowest, self.failure = 0, 0.0, None
        self.going = True
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.node.create_topic(self.topic)
        self.thread.start()
        return self

    def turn(self, connection):
        started = time.monotonic()
        sent = batch(b"turn %d" % self.count)
        error, offset = connection.produce(self.topic, sent)
        assert (error, offset) == (0, self.count), (error, offset, self.count)
        error, _, records = connection.fetch(self.topic, offset, wait_ms=1000)
        assert error == 0 and records[57:] == sent[57:], (error, len(records))
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.count += 1

    def run(self):
        try:
            with Connection(self.node.port) as connection:
                while self.going:
                    self.turn(connection)
                    time.sleep(self.rest)
        except Exception as failure:  # told by check()
            self.failure = failure

    def check(self, turns=10, seconds=5):
        """Whether it is well, and has been since the start."""
        wanted = self.count + turns
        deadline = time.monotonic() + 30
        while self.failure is None and self.count < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self.failure is None, f"the neighbour was not served: {self.failure!r}"
        assert self.count >= wanted, "the neighbour waits"
        assert self.slowest < seconds, f"the neighbour waited {self.slowest:.1f} s"

    def __exit__(self, kind, *_):
        if kind is None:
            self.check()
        self.going = False
        self.thread.join(10)


def resident(node):
    """MiB of memory the node has in use."""
    with open(f"/proc/{node.process.pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def eventually(condition, seconds=10, what="it does not happen"):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
