"""Data directories handed over between Apache Kafka and Ottla's log, in both directions, after clean ends and kills."""
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LOG_TOOL = os.environ.get("OTTLA_LOG_TOOL", os.path.join(ROOT, "build/tests/compat/log_tool"))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")
# Small indexes: a killed node leaves them padded, and a copy of them is not sparse.
SETTINGS = ["log.segment.bytes=1048576", "log.index.interval.bytes=1024",
            "log.index.size.max.bytes=120000", "offsets.topic.num.partitions=1",
            "transaction.state.log.num.partitions=1", "auto.create.topics.enable=false", "log.flush.offset.checkpoint.interval.ms=1000"]


def free_port():
    """A port with a free one after it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                pass


class Anchor:
    def __init__(self, home):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.env = dict(os.environ, KAFKA_TEST_HOME=str(home), KAFKA_TEST_PORT=str(self.port),
                        KAFKA_HEAP="-Xms256m -Xmx256m")
        self.data = home / "node1" / "data"

    def run(self, *args, **kwargs):
        # Into a file: the node inherits the output, and a pipe would wait for its end.
        out = self.data.parent.parent.parent / "anchor.out"
        with open(out, "w") as file:
            subprocess.run([KAFKA, *args], env=self.env, check=True, stdout=file, stderr=file,
                           timeout=120, **kwargs)
        return out.read_text()

    def tool(self, name, *args, **kwargs):
        return self.run("tool", "org.apache.kafka.tools." + name, *args, **kwargs)

    def create(self, topic, partitions=1):
        self.tool("TopicCommand", "--bootstrap-server", self.address, "--create", "--topic", topic,
                  "--partitions", str(partitions))

    def produce(self, topic, records, *properties):
        self.tool("ProducerPerformance", "--topic", topic, "--num-records", str(records),
                  "--record-size", "500", "--throughput", "-1", "--producer-props",
                  "bootstrap.servers=" + self.address, "acks=all", *properties)

    def end_offsets(self, topic):
        text = self.tool("GetOffsetShell", "--bootstrap-server", self.address, "--topic", topic)
        return {int(p): int(o) for p, o in re.findall(rf"^{topic}:(\d+):(\d+)$", text, re.M)}

    def offset_at(self, topic, time):
        text = self.tool("GetOffsetShell", "--bootstrap-server", self.address, "--topic-partitions",
                         topic + ":0", "--time", str(time))
        found = re.search(rf"^{topic}:0:(\d*)$", text, re.M)
        return int(found[1]) if found and found[1] else -1

    def consume(self, topic, records):
        """How many records a consumer got. It may wait long for the first ones, because the
        restarted node has to make the offsets topic."""
        text = self.tool("ConsumerPerformance", "--bootstrap-server", self.address, "--topic", topic,
                         "--num-records", str(records), "--timeout", "60000", "--hide-header")
        return int(text.strip().splitlines()[-1].split(",")[4])


@pytest.fixture
def anchor(tmp_path):
    node = Anchor(tmp_path / "kafka")
    node.run("start", "1", *SETTINGS)
    try:
        node.create("plain", 2)
        node.create("compressed")
        node.create("transactional")
        node.produce("plain", 8000)
        node.produce("compressed", 5000, "compression.type=zstd")
        node.tool("ProducerPerformance", "--topic", "transactional", "--num-records", "3000",
                  "--record-size", "500", "--throughput", "-1", "--transactional-id", "t",
                  "--transaction-duration-ms", "50", "--producer-props",
                  "bootstrap.servers=" + node.address)
        yield node
    finally:
        node.run("stop")


def show(path):
    run = subprocess.run([LOG_TOOL, "show", str(path)], capture_output=True, text=True, check=True)
    logs = {}
    for line in run.stdout.splitlines():
        found = re.match(r"(\S+) start (\d+) end (\d+) segments (\d+) records (\d+) .*producers (\d+) "
                         r"aborted \d+ stable (\d+)", line)
        if found:
            logs[found[1]] = dict(zip(("start", "end", "segments", "records", "producers", "stable"),
                                      map(int, found.groups()[1:])))
    return logs, run.stdout, run.stderr


def check_reading(anchor, ends, path):
    logs, out, told = show(path)
    for (topic, partition), end in ends.items():
        log = logs[f"{topic}-{partition}"]
        assert log["end"] == end
        assert log["records"] == end - log["start"]
    assert logs["transactional-0"]["producers"] == 1
    assert logs["plain-0"]["segments"] > 1
    assert logs["__cluster_metadata-0"]["records"] > 0
    return logs, out, told


def all_ends(anchor):
    return {(topic, partition): end for topic in ("plain", "compressed", "transactional")
            for partition, end in anchor.end_offsets(topic).items()}


def check_times(topic, answers, path):
    run = subprocess.run([LOG_TOOL, "find", str(path), topic + "-0", *answers], check=True,
                         capture_output=True, text=True)
    assert [int(line) for line in run.stdout.split()] == list(answers.values())


@pytest.mark.timeout(400)
def test_clean_hand_over_both_ways(anchor, tmp_path):
    ends = all_ends(anchor)
    now = int(time.time() * 1000)
    answers = {topic: {str(when): anchor.offset_at(topic, when)
                       for when in (-3, 1, now - 12000, now - 6000, now + 60000)}
               for topic in ("plain", "compressed", "transactional")}
    anchor.run("stop")
    for topic, of_topic in answers.items():
        copy = tmp_path / ("times-" + topic)
        shutil.copytree(anchor.data, copy)
        check_times(topic, of_topic, copy)
    copy = anchor.data.parent / "copy"
    shutil.copytree(anchor.data, copy)
    logs, out, told = check_reading(anchor, ends, copy)
    assert "clean 1" in out
    assert logs["transactional-0"]["stable"] == logs["transactional-0"]["end"]
    assert told == ""
    # Ours writes, Kafka goes on.
    subprocess.run([LOG_TOOL, "append", str(anchor.data), "plain-0", "4000"], check=True)
    anchor.run("restart", "1")
    after = all_ends(anchor)
    assert after[("plain", 0)] >= ends[("plain", 0)] + 4000
    assert {k: v for k, v in after.items() if k != ("plain", 0)} == \
        {k: v for k, v in ends.items() if k != ("plain", 0)}
    records = after[("plain", 0)] + after[("plain", 1)]
    assert anchor.consume("plain", records) == records
    anchor.produce("plain", 100)


@pytest.mark.timeout(400)
def test_hand_over_after_kills_both_ways(anchor):
    ends = all_ends(anchor)
    anchor.run("kill", "1")
    copy = anchor.data.parent / "copy"
    shutil.copytree(anchor.data, copy)
    logs, out, _ = check_reading(anchor, ends, copy)
    assert "clean 0" in out
    # The high watermark, and so what is stable, is the one of Kafka's last checkpoint before.
    assert logs["transactional-0"]["stable"] <= logs["transactional-0"]["end"]
    # Ours recovers, appends and is killed; Kafka recovers and goes on.
    subprocess.run([LOG_TOOL, "crash", str(anchor.data), "plain-0", "4000"], check=True)
    anchor.run("restart", "1")
    after = all_ends(anchor)
    assert after[("plain", 0)] >= ends[("plain", 0)] + 4000
    records = after[("plain", 0)] + after[("plain", 1)]
    assert anchor.consume("plain", records) == records
    anchor.produce("plain", 100)
