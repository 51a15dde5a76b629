"""What the library's producer writes, read by others; and a broker that is killed under it."""
import os
import random
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "transcripts"))

from kafka_node import KAFKA, KafkaNode  # noqa: E402
from node import OTTLA, Node  # noqa: E402

TOOL = os.path.join(os.path.dirname(OTTLA), "tests", "client", "producer_tool")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RECORDS = 1000
TIME = int(time.time()) * 1000


@pytest.fixture(scope="module", params=[Node, KafkaNode], ids=["ottla", "kafka"])
def broker(request, tmp_path_factory):
    node = request.param(tmp_path_factory.mktemp("broker"),
                         offsets__topic__replication__factor=1).start()
    yield node
    assert node.stop() in (0, 143), node.log()


def command(topic, first, count, partitions, **settings):
    return [TOOL, topic, str(first), str(count), str(partitions), str(TIME),
            *(f"{key.replace('_', '.')}={value}" for key, value in settings.items())]


def produce(node, topic, count=RECORDS, partitions=1, first=0, **settings):
    run = subprocess.run(command(topic, first, count, partitions, **settings), capture_output=True,
                         text=True, timeout=120,
                         env={**os.environ, "OTTLA_TEST_BOOTSTRAP": node.bootstrap})
    assert run.returncode == 0, run.stderr
    return [tuple(map(int, line.split())) for line in run.stdout.splitlines()]


def expected(n):
    return (b"key-%d" % n, b"value %d, and then some text" % n, TIME + n,
            [("number", b"%d" % n), ("nothing", None)])


def read_with_librdkafka(node, topic, counts):
    """The messages of each partition, as many as said."""
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "reads",
                         "enable.auto.commit": False, "check.crcs": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in counts])
    messages = {partition: [] for partition in counts}
    deadline = time.monotonic() + 60
    while (any(len(messages[partition]) < count for partition, count in counts.items())
           and time.monotonic() < deadline):
        for message in consumer.consume(10000, 0.5):
            assert message.error() is None, message.error()
            messages[message.partition()].append(message)
    consumer.close()
    return messages


@pytest.mark.parametrize("codec", CODECS)
def test_librdkafka_reads_it(broker, codec):
    topic = f"librdkafka-{codec}"
    told = produce(broker, topic, compression_type=codec)
    assert told == [(n, 0, 0, n) for n in range(RECORDS)]
    messages = read_with_librdkafka(broker, topic, {0: RECORDS})[0]
    assert [(m.key(), m.value(), m.timestamp()[1], m.headers()) for m in messages] \
        == [expected(n) for n in range(RECORDS)]


@pytest.mark.parametrize("codec", CODECS)
def test_kcat_reads_it(broker, codec):
    topic = f"kcat-{codec}"
    produce(broker, topic, compression_type=codec)
    read = subprocess.run(["kcat", "-b", broker.bootstrap, "-C", "-t", topic, "-e", "-q", "-o",
                           "beginning", "-f", "%k|%s|%T|%h\n", "-X", "check.crcs=true"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert read.stdout.splitlines() == [
        f"key-{n}|value {n}, and then some text|{TIME + n}|number={n},nothing=NULL"
        for n in range(RECORDS)]


@pytest.mark.parametrize("codec", CODECS)
def test_kafka_python_reads_it(broker, codec):
    from kafka import KafkaConsumer
    from kafka import TopicPartition as Partition
    topic = f"kafka-python-{codec}"
    produce(broker, topic, compression_type=codec)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, consumer_timeout_ms=20000,
                             auto_offset_reset="earliest", check_crcs=True)
    consumer.assign([Partition(topic, 0)])
    records = []
    for record in consumer:
        records.append(record)
        if len(records) == RECORDS:
            break
    consumer.close()
    assert [(r.key, r.value, r.timestamp, list(r.headers)) for r in records] \
        == [expected(n) for n in range(RECORDS)]


def test_java_reads_it(broker):
    """All codecs in one partition, by one JVM."""
    topic = "java"
    for number, codec in enumerate(CODECS):
        produce(broker, topic, first=number * RECORDS, compression_type=codec)
    count = len(CODECS) * RECORDS
    read = subprocess.run(
        [KAFKA, "tool", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server",
         broker.bootstrap, "--topic", topic, "--from-beginning", "--max-messages", str(count),
         "--timeout-ms", "60000", "--command-property", "check.crcs=true",
         *(part for name in ["timestamp", "key", "headers"]
           for part in ("--formatter-property", f"print.{name}=true"))],
        capture_output=True, text=True, timeout=120)
    lines = read.stdout.splitlines()
    assert len(lines) == count, read.stdout[-2000:] + read.stderr
    assert lines == [
        f"CreateTime:{TIME + n}\tnumber:{n},nothing:null\tkey-{n}\t"
        f"value {n}, and then some text" for n in range(count)]


@pytest.mark.parametrize("partitioner", ["consistent", "consistent_random", "murmur2",
                                         "murmur2_random", "fnv1a", "fnv1a_random"])
def test_partitioners_are_librdkafkas(broker, partitioner):
    topic = f"partitioner-{partitioner}"
    broker.create_topic(topic, 11)
    ours = {n: partition for n, code, partition, _ in
            produce(broker, topic, 300, -1, partitioner_class=partitioner)}
    theirs = {}
    producer = Producer({"bootstrap.servers": broker.bootstrap, "partitioner": partitioner})
    for n in range(300):
        producer.produce(topic, b"", b"key-%d" % n,
                         on_delivery=lambda error, m, n=n: theirs.update({n: m.partition()}))
    assert producer.flush(30) == 0
    assert ours == theirs


def check_partitions(node, topic, partitions, count):
    """Every number once, in order."""
    counts = {p: len(range(p, count, partitions)) for p in range(partitions)}
    messages = read_with_librdkafka(node, topic, counts)
    for partition in range(partitions):
        numbers = [int(m.key().split(b"-")[1]) for m in messages[partition]]
        assert numbers == list(range(partition, count, partitions))


@pytest.mark.parametrize("batch_size", [16384, 1000])
def test_a_killed_node_loses_and_doubles_nothing_of_ottla(tmp_path, batch_size):
    """SIGKILL under an idempotent producer with five requests in flight, again and again."""
    node = Node(tmp_path).start()
    topic, partitions, count = node.create_topic("killed", 3), 3, 400_000
    delivered = tmp_path / "delivered"
    with open(delivered, "w") as out:
        tool = subprocess.Popen(
            command(topic, 0, count, partitions, linger_ms=1, batch_size=batch_size,
                    max_in_flight_requests_per_connection=5, retry_backoff_ms=10,
                    buffer_memory=2_000_000),
            stdout=out, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OTTLA_TEST_BOOTSTRAP": node.bootstrap})
    kills = 0
    while tool.poll() is None and kills < 8:
        time.sleep(random.uniform(0.005, 0.03))  # a fast machine is through in 0.2 s
        node.kill()
        node.start()
        kills += 1
    errors = tool.communicate(timeout=120)[1]
    assert tool.returncode == 0, errors
    assert kills > 2, "the producer was done too soon"
    lines = delivered.read_text().splitlines()
    assert len(lines) == count
    for line in lines:
        n, code, partition, offset = map(int, line.split())
        assert (code, partition, offset) == (0, n % partitions, n // partitions)
    check_partitions(node, topic, partitions, count)
    assert node.stop() == 0
