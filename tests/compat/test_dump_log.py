"""Logs that Ottla wrote, read by Apache Kafka's own kafka-dump-log; and damaged ones, of which Ottla's
says the same."""
import glob
import os
import re
import shutil
import struct
import subprocess

import pytest
from crc32c import crc32c
from kafka.record.legacy_records import LegacyRecordBatchBuilder

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LOG_TOOL = os.environ.get("OTTLA_LOG_TOOL", os.path.join(ROOT, "build/tests/compat/log_tool"))
OTTLA = os.environ.get("OTTLA", os.path.join(ROOT, "build", "ottla"))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")
JAVA = [KAFKA, "tool", "org.apache.kafka.tools.DumpLogSegments"]
SHAPES = {"plain": 5000, "gzip": 5000, "snappy": 5000, "lz4": 5000, "zstd": 5000,
          "idempotent": 5000, "transactions": 5000, "large": 40}


def dump(*args):
    run = subprocess.run([*JAVA, *args], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def files(directory, *suffixes):
    found = [path for suffix in suffixes
             for path in sorted(glob.glob(os.path.join(directory, "*", "*" + suffix)))]
    assert found
    return ",".join(found)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    subprocess.run([KAFKA, "install"], check=True)
    path = tmp_path_factory.mktemp("logs")
    for shape, records in SHAPES.items():
        subprocess.run([LOG_TOOL, "write", str(path / shape), shape, str(records)], check=True)
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_every_batch_and_record(directory, shape):
    text = dump("--deep-iteration", "--files", files(directory / shape, ".log"))
    # The tool takes the first record of every file for a gap after -1.
    gaps = [line for line in re.findall(r"(-?\d+) is followed by", text) if line != "-1"]
    assert gaps == []
    assert "isvalid: false" not in text
    offsets = [int(offset) for offset in re.findall(r"^\| offset: (\d+)", text, re.M)]
    shown = subprocess.run([LOG_TOOL, "show", str(directory / shape)], check=True,
                           capture_output=True, text=True).stdout
    end, records = map(int, re.search(r"end (\d+) .*records (\d+)", shown).groups())
    assert sorted(offsets) == list(range(end))
    assert len(offsets) == records
    assert records >= SHAPES[shape]


@pytest.mark.parametrize("shape", SHAPES)
def test_indexes(directory, shape):
    indexes = files(directory / shape, ".index", ".timeindex")
    for option in ("--index-sanity-check", "--verify-index-only"):
        text = dump(option, "--files", indexes)
        for line in text.splitlines():
            assert re.search(r"^Dumping |passed sanity check\.$|is empty\.$", line), line


def test_snapshots_and_aborted_transactions(directory):
    text = dump("--files", files(directory / "transactions", ".snapshot", ".txnindex"))
    producers = set(re.findall(r"^producerId: (\d+) producerEpoch: 0", text, re.M))
    assert producers == {"1000", "1001", "1002", "1003"}
    aborted = re.findall(r"^version: 0 producerId: \d+ firstOffset: (\d+) lastOffset: (\d+) "
                         r"lastStableOffset: (\d+)", text, re.M)
    assert len(aborted) > 100
    markers = [int(last) for _, last, _ in aborted]
    assert markers == sorted(markers)
    for first, last, stable in aborted:
        assert int(first) < int(last)
        assert int(stable) <= int(last) + 1


# --- the same words ---------------------------------------------------------------------------------

def said(*command):
    """Exit code, stdout, and stderr without what Java puts around an exception's first line."""
    run = subprocess.run(command, capture_output=True, text=True)
    errors = [line.replace('Exception in thread "main" ', "") for line in run.stderr.splitlines()
              if not line.startswith(("\tat ", "Caused by: ", "\t... "))]
    return run.returncode, run.stdout.splitlines(), errors


def both_say(*args):
    ottla = said(OTTLA, "kafka-dump-log", *args)  # first: the Java tool cuts damaged indexes
    assert ottla == said(*JAVA, *args)
    return ottla


ENDINGS = (".log", ".index", ".timeindex", ".snapshot", ".txnindex")


@pytest.mark.parametrize("shape", SHAPES)
def test_says_what_the_java_tool_says(directory, shape):
    endings = ENDINGS if shape == "transactions" else ENDINGS[:4]
    code, lines, errors = both_say("--deep-iteration", "--files",
                                   files(directory / shape, *endings))
    assert code == 0 and len(lines) > SHAPES[shape]
    assert all(" -1 is followed by " in line for line in errors[1::2])


def put(path, form, position, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, position, *values)
    path.write_bytes(data)


@pytest.fixture
def damaged(directory, tmp_path):
    """A segment with its indexes, to be damaged."""
    stem = "00000000000000000000"
    for path in glob.glob(str(directory / "plain" / "*" / (stem + ".*"))):
        shutil.copy(path, tmp_path)
    assert (tmp_path / (stem + ".timeindex")).stat().st_size >= 12 * 12
    return {ending[1:]: tmp_path / (stem + ending) for ending in ENDINGS}


def test_indexes_that_are_wrong(damaged, tmp_path):
    index = shutil.copytree(tmp_path, tmp_path / "other") / damaged["index"].name
    put(index, ">i", 8 * 2, 3)
    put(index, ">i", 8 * 4, 999_999)
    put(damaged["timeindex"], ">q", 12 * 3, 5)
    put(damaged["timeindex"], ">q", 12 * 5, 6)
    last = struct.unpack_from(">i", damaged["timeindex"].read_bytes(), 12 * 7 + 8)[0]
    put(damaged["timeindex"], ">i", 12 * 7 + 8, last - 1)
    put(damaged["timeindex"], ">i", 12 * 9 + 8, 1_000_000)
    paths = f"{damaged['timeindex']},{index},{damaged['log']}"
    _, _, errors = both_say("--files", paths)
    heads = [line for line in errors if not line.startswith(("  ", "Indexed"))]
    assert [line.split("/")[0] for line in heads] == [
        "Mismatches in :", "Found timestamp mismatch in :", "Found out of order timestamp in :",
        "The following indexed offsets are not found in :"]
    both_say("--verify-index-only", "--files", paths)
    both_say("--index-sanity-check", "--files", paths)


def test_indexes_that_are_no_indexes(damaged):
    """Each is told, and is the end of the tool."""
    times = damaged["timeindex"].read_bytes()
    damaged["timeindex"].write_bytes(times + b"abc")
    check = ["--index-sanity-check", "--files", str(damaged["timeindex"])]
    assert "neither positive nor a multiple of 12" in both_say(*check)[2][0]
    damaged["timeindex"].write_bytes(times + bytes(12))
    assert "less than the first timestamp" in both_say(*check)[2][0]
    entries = damaged["index"].read_bytes()
    damaged["index"].write_bytes(entries + b"abc")
    check[2] = str(damaged["index"])
    assert "neither positive nor a multiple of 8" in both_say(*check)[2][0]
    damaged["index"].write_bytes(entries)
    put(damaged["index"], ">I", 8 * 3 + 4, 2_000_000_000)
    assert "Slice from position 2000000000 exceeds" in both_say(*check[1:])[2][0]
    damaged["log"].unlink()
    assert both_say(*check)[0] == 1


def test_snapshots_and_logs_that_are_damaged(damaged, tmp_path):
    log = damaged["log"].read_bytes()
    for rest in (bytes(100), b"\xff" * 40, b"\0" * 5, log[:30]):
        damaged["log"].write_bytes(log + rest)
        both_say("--deep-iteration", "--files", str(damaged["log"]))
    entries = struct.pack(">i", 1) + struct.pack(">qhiqiqiq", 42, 3, 1, 99, 4, 1234, -1, 90)
    snapshots = [tmp_path / f"{number:020}.snapshot" for number in range(3)]
    snapshots[0].write_bytes(struct.pack(">hI", 1, crc32c(entries)) + entries)
    snapshots[1].write_bytes(struct.pack(">hI", 1, 7) + entries)
    snapshots[2].write_bytes(struct.pack(">hI", 3, 7) + entries)
    code, lines, errors = both_say("--files", ",".join(map(str, snapshots)))
    assert code == 0 and len(errors) == 2 and "OptionalLong[90]" in lines[1]


def test_records_from_before_kafka_0_11(tmp_path):
    """One by one, and in wrappers; inner offsets are absolute with magic 0, relative with magic 1."""
    path = tmp_path / "00000000000000000000.log"
    content, offset = bytearray(), 0
    for magic in (0, 1):
        for codec in (0, 1, 2):  # none, gzip, snappy
            start = len(content)
            builder = LegacyRecordBatchBuilder(magic=magic, compression_type=codec,
                                               batch_size=1 << 20)
            for number in range(3):
                builder.append(number, timestamp=1000 + number if magic else None,
                               key=b"key" if number != 1 else None,
                               value=b"value" if number != 2 else None)
            content += builder.build()
            if codec:
                struct.pack_into(">q", content, start, offset + 2)
            while not codec and start < len(content):
                size, = struct.unpack_from(">i", content, start + 8)
                struct.pack_into(">q", content, start, offset)
                start, offset = start + 12 + size, offset + 1
            offset += 3 if codec else 0
    path.write_bytes(content)
    _, lines, _ = both_say("--print-data-log", "--files", str(path))
    assert sum(line.startswith("|") for line in lines) == 18
    path.write_bytes(content[:30] + b"X" + content[31:])
    assert any("isValid: false" in line for line in both_say("--deep-iteration", "--files",
                                                             str(path))[1])
