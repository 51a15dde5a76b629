"""Record batches as plain values, for requests and for answers.

A batch is a dictionary; what is left out has its usual value:

    {"records": [{"value": "a"}, {"key": "k", "value": null, "headers": {"h": "x"}}],
     "codec": "gzip", "producerId": 7, "producerEpoch": 0, "baseSequence": 0}

build() makes bytes of a list of batches, show() reads bytes back into the same form, so a transcript
shows what was sent and what came back in the same words. show() keeps every field of the format:
one that is missing has the value that build() would give it.

To make broken batches, any field of the header can be given ("length", "crc", "attributes",
"lastOffsetDelta", "count", ...), `"corrupt": true` turns a bit of the checksum, `"cut": n` drops the
last n bytes, `"tail": "hex"` adds some, and `"magic": 0` or `1` makes a message of the old formats.
"""
import gzip
import struct
import zlib

import crc32c
import lz4.frame
import snappy
import zstandard

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FIRST_TIMESTAMP = 1700000000000
XERIAL = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_NAMES = ["baseOffset", "length", "leaderEpoch", "magic", "crc", "attributes",
                "lastOffsetDelta", "baseTimestamp", "maxTimestamp", "producerId", "producerEpoch",
                "baseSequence", "count"]
BITS = {"appendTime": 0x08, "transactional": 0x10, "control": 0x20, "deleteHorizon": 0x40}


def to_bytes(value):
    """A value of a record: null, text, {"hex": ...} or {"repeat": text, "times": n}."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    return value["repeat"].encode() * value["times"]


def from_bytes(data):
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"hex": data.hex()}
    if len(text) > 60 and text == text[0] * len(text):
        return {"repeat": text[0], "times": len(text)}
    return text if text.isprintable() else {"hex": data.hex()}


# --- varints ---

def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


class Reader:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, size):
        if size < 0 or self.position + size > len(self.data):
            raise ValueError("the data ends early")
        self.position += size
        return self.data[self.position - size:self.position]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return (number >> 1) ^ -(number & 1)

    def field(self):
        size = self.varint()
        return None if size == -1 else self.take(size)


def sized(data):
    return varint(-1) if data is None else varint(len(data)) + data


# --- codecs ---

def compress(codec, data):
    if codec == "gzip":
        return gzip.compress(data, mtime=0)
    if codec == "snappy":
        block = snappy.compress(data)
        return XERIAL + struct.pack(">i", len(block)) + block
    if codec == "lz4":
        return lz4.frame.compress(data, content_checksum=False, block_linked=False,
                                  store_size=False, block_size=lz4.frame.BLOCKSIZE_MAX64KB)
    if codec == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    return data


def decompress(codec, data):
    if codec == "gzip":
        return zlib.decompress(data, 31)
    if codec == "snappy":
        if not data.startswith(XERIAL[:8]):
            return snappy.decompress(data)
        reader, out = Reader(data[16:]), b""
        while reader.position < len(reader.data):
            out += snappy.decompress(reader.take(struct.unpack(">i", reader.take(4))[0]))
        return out
    if codec == "lz4":
        return lz4.frame.decompress(data)
    if codec == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


# --- building ---

def build_record(record, index, base_timestamp):
    timestamp = record.get("timestamp", base_timestamp) - base_timestamp
    headers = record.get("headers", {})
    body = (bytes([record.get("attributes", 0)]) + varint(timestamp)
            + varint(record.get("offsetDelta", index))
            + sized(to_bytes(record.get("key"))) + sized(to_bytes(record.get("value")))
            + varint(record.get("headerCount", len(headers))))
    for name, value in headers.items():
        body += sized(name.encode()) + sized(to_bytes(value))
    return varint(record.get("length", len(body))) + body


def attributes_of(batch):
    bits = CODECS.index(batch.get("codec", "none"))
    for name, bit in BITS.items():
        bits |= bit if batch.get(name) else 0
    return batch.get("attributes", bits)


def build_message(batch):
    """One message of format 0 or 1."""
    record = batch["records"][0]
    body = struct.pack(">bb", batch["magic"], batch.get("attributes", 0))
    if batch["magic"] == 1:
        body += struct.pack(">q", record.get("timestamp", FIRST_TIMESTAMP))
    for data in (to_bytes(record.get("key")), to_bytes(record.get("value"))):
        body += struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
    body = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", batch.get("baseOffset", 0), len(body)) + body


def build_batch(batch):
    if batch.get("magic", 2) < 2:
        return build_message(batch)
    records = batch.get("records", [])
    times = [record.get("timestamp", FIRST_TIMESTAMP) for record in records]
    base = batch.get("baseTimestamp", times[0] if times else FIRST_TIMESTAMP)
    body = b"".join(build_record({"timestamp": FIRST_TIMESTAMP, **record}, index, base)
                    for index, record in enumerate(records))
    body = compress(batch.get("codec", "none"), body)
    values = {"baseOffset": 0, "length": 49 + len(body), "leaderEpoch": -1, "magic": 2, "crc": 0,
              "attributes": attributes_of(batch), "lastOffsetDelta": len(records) - 1,
              "baseTimestamp": base, "maxTimestamp": max(times, default=base), "producerId": -1,
              "producerEpoch": -1, "baseSequence": -1, "count": len(records)}
    values.update({name: batch[name] for name in HEADER_NAMES if name in batch})
    header = HEADER.pack(*values.values())
    crc = crc32c.crc32c(header[21:] + body)
    crc = batch.get("crc", crc ^ 1 if batch.get("corrupt") else crc)
    return header[:17] + struct.pack(">I", crc) + header[21:] + body


def build(batches):
    """Bytes of a list of batches; None stays None."""
    if batches is None:
        return None
    out = b""
    for batch in batches:
        data = build_batch(batch)
        data = data[:len(data) - batch["cut"]] if "cut" in batch else data
        out += data + bytes.fromhex(batch.get("tail", ""))
    return out


# --- showing ---

def show_record(reader, header, index):
    length = reader.varint()
    start = reader.position
    attributes = reader.take(1)[0]
    timestamp = header["baseTimestamp"] + reader.varint()
    delta = reader.varint()
    shown = {"offset": header["baseOffset"] + delta, "timestamp": timestamp}
    key, value = reader.field(), reader.field()
    if key is not None:
        shown["key"] = from_bytes(key)
    shown["value"] = from_bytes(value)
    headers = {}
    for _ in range(reader.varint()):
        name = reader.take(reader.varint()).decode()
        headers[name] = from_bytes(reader.field())
    if headers:
        shown["headers"] = headers
    if attributes:
        shown["attributes"] = attributes
    if delta != index:
        shown["offsetDelta"] = delta
    if reader.position - start != length:
        raise ValueError("a record has another length than it says")
    return shown


def show_header(header, crc):
    """What the header says beyond what the records tell."""
    shown = {"baseOffset": header["baseOffset"], "leaderEpoch": header["leaderEpoch"]}
    if header["magic"] != 2:
        shown["magic"] = header["magic"]
    if header["crc"] != crc:
        shown["crc"] = header["crc"]
    attributes = header["attributes"]
    if attributes & 7:
        shown["codec"] = CODECS[attributes & 7] if attributes & 7 < len(CODECS) else attributes & 7
    shown.update({name: True for name, bit in BITS.items() if attributes & bit})
    if attributes & ~0x7F:
        shown["attributes"] = attributes
    shown.update({name: header[name] for name in ("producerId", "producerEpoch", "baseSequence")
                  if header[name] != -1})
    return shown


def show_batch(data):
    header = dict(zip(HEADER_NAMES, HEADER.unpack_from(data)))
    shown = show_header(header, crc32c.crc32c(data[21:]))
    codec = shown.get("codec", "none")
    if codec == "none":
        shown["size"] = len(data)
    reader = Reader(decompress(codec, data[HEADER.size:]))
    records = [show_record(reader, header, index) for index in range(header["count"])]
    if reader.position != len(reader.data):
        raise ValueError("bytes behind the last record")
    times = [record["timestamp"] for record in records]
    if header["baseTimestamp"] != (times[0] if times else None):
        shown["baseTimestamp"] = header["baseTimestamp"]
    if shown.get("appendTime"):
        shown["logAppendTime"] = header["maxTimestamp"]
    elif header["maxTimestamp"] != max(times, default=None):
        shown["maxTimestamp"] = header["maxTimestamp"]
    if header["lastOffsetDelta"] != len(records) - 1:
        shown["lastOffsetDelta"] = header["lastOffsetDelta"]
    shown["records"] = records
    return shown


def show(data):
    """The batches in these bytes. What cannot be read is shown as it is."""
    shown = []
    while data:
        length = struct.unpack_from(">i", data, 8)[0] if len(data) >= 12 else -1
        if length < 49 or len(data) < 12 + length:
            shown.append({"partial": len(data), "starts": data[:17].hex()})
            break
        try:
            shown.append(show_batch(data[:12 + length]))
        except Exception as error:  # any codec's
            shown.append({"unreadable": str(error), "bytes": data[:12 + length].hex()})
        data = data[12 + length:]
    return shown
