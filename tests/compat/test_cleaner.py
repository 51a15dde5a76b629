"""The same compacted logs, cleaned by Apache Kafka and by Ottla, leave the same batches with the same
records. Apache Kafka writes them: plain, idempotent in every codec, stamped by the broker, and in
transactions. Then each cleans a copy of the directory, more is written, and each cleans again, when
tombstones and markers whose time is over go. Before that, each cleans a copy with a map that has no
room for a third of the keys: after many cleanings the same records are left.

OTTLA_CLEANER_MIB: how much is written (default 12)."""
import os
import shutil
import subprocess
import sys
import time

import pytest
from kafka import KafkaConsumer, TopicPartition

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "transcripts"))

from kafka_node import KAFKA, KafkaNode  # noqa: E402
from node import OTTLA, Node  # noqa: E402

LOG_TOOL = os.environ.get("LOG_TOOL", os.path.join(os.path.dirname(OTTLA), "tests", "compat",
                                                   "log_tool"))
BYTES = int(os.environ.get("OTTLA_CLEANER_MIB", "12")) << 20
TOPICS = ("plain", "keyed", "stamped", "txn")
KEYS = max(200, BYTES // 3 // 4000)  # of a topic, as CleanerTool has it
CONTROL, DELETE_HORIZON = 0x20, 0x40
DAY_MS = 24 * 60 * 60 * 1000
TIME = int(time.time() * 1000) - 20 * DAY_MS
CONFIGS = {"cleanup_policy": "compact", "segment_bytes": max(1 << 20, BYTES // 30),
           "segment_ms": DAY_MS // 2, "delete_retention_ms": DAY_MS, "index_interval_bytes": 1024}
STAMPED = {"message_timestamp_type": "LogAppendTime"}
IDLE = {"log.cleaner.min.cleanable.ratio": "1"}
BUSY = {"log.cleaner.min.cleanable.ratio": "0", "log.cleaner.backoff.ms": "200",
        "log.flush.interval.messages": "1000000", "log.initial.task.delay.ms": "0"}
MAP_BYTES, SLOT_BYTES = 2 << 20, 24
SMALL_MAP = {"log.cleaner.dedupe.buffer.size": str(MAP_BYTES),
             "log.cleaner.io.buffer.load.factor": str(KEYS / 3 / (MAP_BYTES // SLOT_BYTES))}


@pytest.fixture
def nodes(tmp_path):
    subprocess.run([KAFKA, "install"], check=True)
    kafka, ottla = KafkaNode(tmp_path / "kafka"), Node(tmp_path / "ottla")
    for name in ("port", "controller_port", "http_port"):
        setattr(ottla, name, getattr(kafka, name))  # one runs at a time; the metadata knows them
    ottla.settings = {**kafka.settings, "log.dirs": ottla.settings["log.dirs"]}
    for node in (kafka, ottla):
        node.settings.update({"transaction.state.log.replication.factor": "1",
                              "transaction.state.log.min.isr": "1",
                              "transaction.state.log.num.partitions": "2",
                              "producer.id.expiration.ms": "2147483647"})
    yield kafka, ottla
    for node in (kafka, ottla):
        if node.process is not None and node.process.poll() is None:
            node.kill()


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    classes = str(tmp_path_factory.mktemp("classes"))
    libs = subprocess.run([KAFKA, "classpath"], check=True, capture_output=True,
                          text=True).stdout.strip()
    subprocess.run(["javac", "-cp", libs, "-d", classes,
                    os.path.join(HERE, "cleaner", "CleanerTool.java")], check=True)

    def run(*arguments):
        subprocess.run(["java", "-Xmx256m", "-cp", f"{classes}:{libs}", "CleanerTool",
                        *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)
    return run


def folder(node, topic):
    return os.path.join(node.settings["log.dirs"], f"{topic}-0")


def segments(node, topic):
    names = os.listdir(folder(node, topic))
    return sorted(name for name in names if name.endswith(".log"))


def cleaned(node):
    """Up to where logs are compacted, as the checkpoint says."""
    try:
        with open(os.path.join(node.settings["log.dirs"], "cleaner-offset-checkpoint")) as file:
            lines = [line.split() for line in file.read().splitlines()[2:]]
    except FileNotFoundError:
        return {}
    return {topic: int(offset) for topic, index, offset in lines}


def cost(node):
    """Seconds of CPU that the node has used, and the most memory it had, in MiB."""
    with open(f"/proc/{node.process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{node.process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), peak / 1024


def clean(node):
    """Lets the node clean all there is, and stops it. What that took is printed (pytest -s)."""
    node.settings.update(BUSY)
    began, before = time.monotonic(), size(node)
    node.start()
    deadline = time.monotonic() + 120 + BYTES / 2e6
    while any(cleaned(node).get(topic) != int(segments(node, topic)[-1].split(".")[0])
              for topic in TOPICS):
        assert time.monotonic() < deadline, (cleaned(node), node.log()[-3000:])
        time.sleep(0.2)
    seconds, peak = cost(node)
    print(f"{type(node).__name__}: {before >> 20} to {size(node) >> 20} MiB in "
          f"{time.monotonic() - began:.1f} s, with its start and {seconds:.1f} s of CPU; "
          f"at most {peak:.0f} MiB of memory")
    assert node.stop(60) in (0, 143)


def batches(node, topic):
    """A line for each batch, by segment."""
    paths = [os.path.join(folder(node, topic), name) for name in segments(node, topic)]
    return subprocess.run([LOG_TOOL, "batches", *paths], check=True, capture_output=True,
                          text=True).stdout.splitlines()


def compare(kafka, ottla):
    for topic in TOPICS:
        theirs, ours = batches(kafka, topic), batches(ottla, topic)
        for line, (their, our) in enumerate(zip(theirs, ours)):
            assert their == our, f"{topic}, line {line}"
        assert len(theirs) == len(ours), topic
        assert segments(kafka, topic) == segments(ottla, topic), topic


def records_of(node, topic):
    """The batches with records, without what depends on how often their log was cleaned: markers,
    and whether there was a tombstone in a batch once."""
    result = []
    for line in batches(node, topic):
        words = line.split()
        attributes = int(words[2], 16)
        if words[7] != "0" and attributes & CONTROL == 0:
            result.append([*words[:2], attributes & ~DELETE_HORIZON, *words[3:]])
    return result


def clean_by_small_maps(nodes):
    """Each cleans a copy of its directory: what is left, by topic. Tombstones stay, for none is old
    enough."""
    left = []
    for node in nodes:
        settings = dict(node.settings)
        node.settings["log.dirs"] += "-small"
        node.settings.update(SMALL_MAP)
        shutil.copytree(settings["log.dirs"], node.settings["log.dirs"])
        clean(node)
        left.append({topic: records_of(node, topic) for topic in TOPICS})
        shutil.rmtree(node.settings["log.dirs"])
        node.settings = settings
    return left


def retain_tombstones_for(node, ms):
    node.start()
    answer = node.rpc("IncrementalAlterConfigs:1", {"resources": [
        {"resourceType": 2, "resourceName": topic, "configs": [
            {"name": "delete.retention.ms", "configOperation": 0, "value": str(ms)}]}
        for topic in TOPICS]})
    assert all(one["errorCode"] == 0 for one in answer["responses"]), answer
    assert node.stop(60) in (0, 143)


def size(node):
    return sum(os.path.getsize(os.path.join(folder(node, topic), name))
               for topic in TOPICS for name in segments(node, topic))


def records_told(node, topic):
    """How many records a client gets."""
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, auto_offset_reset="earliest",
                             enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning()
    end = consumer.end_offsets([partition])[partition]
    count, deadline = 0, time.monotonic() + 60
    while consumer.position(partition) < end and time.monotonic() < deadline:
        count += sum(map(len, consumer.poll(1000).values()))
    consumer.close()
    return count


@pytest.mark.timeout(3600)
def test_the_same_records_stay(nodes, tool):
    kafka, ottla = nodes
    kafka.settings.update(IDLE)
    kafka.start()
    for topic in TOPICS:
        kafka.create_topic(topic, **CONFIGS, **(STAMPED if topic == "stamped" else {}))
    tool("fill", kafka.bootstrap, BYTES // 3, 1, TIME)
    assert kafka.stop(60) in (0, 143)
    written = size(kafka)
    shutil.copytree(kafka.settings["log.dirs"], ottla.settings["log.dirs"])
    theirs, ours = clean_by_small_maps(nodes)
    for node in nodes:
        retain_tombstones_for(node, 1000)
        clean(node)
    compare(kafka, ottla)
    for topic in TOPICS:
        assert ours[topic] == records_of(ottla, topic), topic
        if topic != "txn":  # there Apache Kafka leaves some more, that were written again
            assert theirs[topic] == ours[topic], topic
    assert size(ottla) < written * 0.8
    ids = {line.split()[3] for line in batches(ottla, "txn")}
    assert len(ids) >= 3  # the last batch of each producer is there

    for round_ in (1, 2):
        for node in nodes:
            node.settings.update(IDLE)
            node.start()
            tool("more", node.bootstrap, BYTES // 30, round_, TIME + 7 * round_ * DAY_MS)
            assert node.stop(60) in (0, 143)
        for node in nodes:
            clean(node)
        compare(kafka, ottla)

    # Apache Kafka goes on with what Ottla cleaned.
    kept = {topic: sum(int(line.split()[7]) for line in batches(ottla, topic)
                       if int(line.split()[2], 16) & CONTROL == 0) for topic in TOPICS}
    kafka.settings.update(IDLE)
    kafka.settings["log.dirs"] = ottla.settings["log.dirs"]
    kafka.start()
    assert {topic: records_told(kafka, topic) for topic in TOPICS} == kept
    assert kafka.stop(60) in (0, 143)
