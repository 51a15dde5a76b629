#!/usr/bin/env python3
"""Compares the produce path's checks with Apache Kafka's own code, on batches made wrong at random.

    compare_judges.py RECORD_JUDGE FIXTURES [COUNT] [SEED]

Needs java, and Kafka's jars in KAFKA_LIBS (default .cache/kafka/libs of the project). RECORD_JUDGE is the
program built from record_judge.c. Prints what differs, and how often which outcome came out.
"""
import collections
import gzip
import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIBS = os.environ.get("KAFKA_LIBS", os.path.join(HERE, "../../../.cache/kafka/libs"))
NOW = 1700000000000
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def seal(batch):
    """Makes length and CRC right again."""
    batch[8:12] = struct.pack(">i", len(batch) - 12)
    batch[17:21] = struct.pack(">I", crc32c(batch[21:]))
    return batch


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def record(rng, delta):
    """A record that is right or has one thing wrong."""
    def field(value):
        return varint(-1) if value is None else varint(len(value)) + value

    key = rng.choice([None, b"", b"key"])
    if rng.random() < 0.8:
        key = b"key"
    time = rng.choice([0, 1, -5, 3600001, -10**9, 10**15]) if rng.random() < 0.1 else delta
    body = bytes([rng.choice([0, 0, 0, 7])]) + varint(time)
    body += varint(delta + rng.choice([1, -1, 7]) if rng.random() < 0.02 else delta)
    body += field(key) + field(rng.choice([None, b"v" * rng.randrange(40)]))
    headers = rng.randrange(3)
    wrong = rng.random()
    if wrong < 0.01:
        headers_said = rng.choice([-1, 99999, headers + 1])
    else:
        headers_said = headers
    body += varint(headers_said)
    for _ in range(headers):
        body += field(None if rng.random() < 0.01 else b"h") + field(rng.choice([None, b"1"]))
    length = len(body) + (rng.choice([1, -1, 500, -len(body) - 3]) if rng.random() < 0.005 else 0)
    return varint(length) + body


def made(rng):
    """A batch from nothing, uncompressed or gzip."""
    count = rng.randrange(1, 9)
    records = b"".join(record(rng, i) for i in range(count))
    if rng.random() < 0.03:
        records += b"\0\0"
    attributes = 0
    if rng.random() < 0.4:
        records = gzip.compress(records)
        attributes = 1
    if rng.random() < 0.05:
        attributes |= 8
    producer = rng.choice([(-1, -1, -1), (-1, -1, -1), (5, 0, 17), (5, 0, -1), (-1, 0, 3)])
    batch = bytearray(struct.pack(">qiibIhiqqqhii", 0, 0, -1, 2, 0, attributes, count - 1, NOW,
                                  rng.choice([NOW, NOW + count - 1, -1]), *producer, count)) + records
    if rng.random() < 0.05:
        struct.pack_into(">i", batch, 57, rng.choice([0, -1, count + 1, count - 1, 2**31 - 1]))
    if rng.random() < 0.05:
        struct.pack_into(">i", batch, 23, rng.choice([0, -1, count, -2**31, 2**31 - 1]))
    return seal(batch)


def case(rng, fixtures):
    if rng.random() < 0.6:
        batch = made(rng)
    else:
        batch = bytearray(rng.choice(fixtures))
        for _ in range(rng.choice([0, 1, 1, 2, 8])):
            batch[rng.randrange(12, len(batch))] = rng.randrange(256)
        if batch[16] == 2 and rng.random() < 0.9:
            seal(batch)
    kind = rng.random()
    if kind < 0.02:
        batch = batch[:rng.randrange(len(batch))]
    elif kind < 0.04:
        batch += bytes(batch)
    elif kind < 0.06:
        batch += batch[:rng.randrange(len(batch))]
    elif kind < 0.07:
        batch[rng.randrange(12)] ^= 1 << rng.randrange(8)
    codec = rng.choice(["producer", "producer", "none", "gzip", "snappy", "lz4", "zstd"])
    rules = [rng.choice([3, 6, 7, 13]), codec, rng.choice([0, 0, 0, 1]), rng.choice([0, 0, 0, 1]),
             rng.choice([2**63 - 1, 1000]), rng.choice([3600000, 1000, 2**63 - 1]),
             rng.choice([1048588, 1048588, 1048588, 400])]
    return ",".join(map(str, rules)) + " " + batch.hex()


def differs(theirs, ours, batch):
    """Where we mean to differ:

    - Kafka answers UNKNOWN_SERVER_ERROR where its code has no name for what happened. Ours has one.
    - Offset deltas other than 0, 1, 2... are refused by us always; Kafka stores them when
      uncompressed, numbers them anew when it recompresses, and stumbles (UNKNOWN_SERVER_ERROR) else.
    - Records of compressed batches whose length is not their content's are refused by us first;
      Kafka looks at that only in uncompressed ones.
    - Kafka stumbles over a negative producer id, or time, when it recompresses; in a batch that stays
      as it is neither of us minds.
    """
    condition, _, rest = theirs.partition(" ")
    if condition in ("disordered", "unreadable"):
        theirs = rest
        if rest.startswith(("ok", "error INVALID")) and ours == "error INVALID_RECORD null":
            return False
    if theirs == ours:
        return False
    if theirs.startswith("error UNKNOWN_SERVER_ERROR"):
        named = ("error UNSUPPORTED_COMPRESSION_TYPE null", "error INVALID_RECORD null")
        base_timestamp, _, producer_id = struct.unpack_from(">qqq", batch, 27)
        stumbles = producer_id < -1 or base_timestamp < 0
        return ours not in named and not (ours.startswith("ok") and stumbles)
    return not theirs.startswith("request UNKNOWN_SERVER_ERROR")


def main():
    judge, fixtures = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    rng = random.Random(seed)
    bases = []
    for name in sorted(os.listdir(fixtures)):
        if name.startswith("v2-") and name.endswith(".bin"):
            with open(os.path.join(fixtures, name), "rb") as file:
                batch = bytearray(file.read())
            batch[0:8] = bytes(8)
            bases.append(bytes(batch))
    text = "\n".join(case(rng, bases) for _ in range(count)) + "\n"
    with tempfile.TemporaryDirectory() as classes:
        subprocess.run(["javac", "-nowarn", "-cp", LIBS + "/*", "-d", classes,
                        os.path.join(HERE, "RecordTool.java")], check=True)
        java = subprocess.run(["java", "-Dstdout.encoding=UTF-8", "-cp", f"{classes}:{LIBS}/*", "RecordTool", "judge"],
                              input=text, capture_output=True, encoding="utf-8", check=True).stdout
    own = subprocess.run([judge], input=text, capture_output=True, encoding="utf-8",
                         errors="replace", check=True).stdout
    java, own = java.split("\n")[:-1], own.split("\n")[:-1]
    assert len(java) == len(own) == count, (len(java), len(own))
    outcomes, different = collections.Counter(), 0
    for line, theirs, ours in zip(text.splitlines(), java, own):
        outcomes[" ".join(ours.split(" ")[:2])] += 1
        if differs(theirs, ours, bytes.fromhex(line.split(" ")[1])):
            different += 1
            if different <= 20:
                print(f"{line[:300]}\n  Kafka {theirs[:700]}\n  Ottla {ours[:700]}")
    for outcome, times in sorted(outcomes.items()):
        print(f"{times:6} {outcome}")
    print(f"{count} compared, {different} differ (seed {seed})")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
