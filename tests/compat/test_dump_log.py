"""Logs that Ottla wrote, read by Apache Kafka's own kafka-dump-log."""
import glob
import os
import re
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LOG_TOOL = os.environ.get("OTTLA_LOG_TOOL", os.path.join(ROOT, "build/tests/compat/log_tool"))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")
SHAPES = {"plain": 5000, "gzip": 5000, "snappy": 5000, "lz4": 5000, "zstd": 5000,
          "idempotent": 5000, "transactions": 5000, "large": 40}


def dump(*args):
    run = subprocess.run([KAFKA, "tool", "org.apache.kafka.tools.DumpLogSegments", *args],
                         capture_output=True, text=True)
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
