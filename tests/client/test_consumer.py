"""The library's consumer reads what others wrote: kcat, kafka-python and Java, in each codec; and of
Java's transactions only those that were committed."""
import os
import random
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "transcripts"))

from kafka_node import KAFKA, KafkaNode  # noqa: E402
from node import OTTLA, Node  # noqa: E402

TOOL = os.path.join(os.path.dirname(OTTLA), "tests", "client", "consumer_tool")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RECORDS = 1000
TIME = int(time.time()) * 1000
SETTINGS = {"offsets__topic__replication__factor": 1,
            "transaction__state__log__replication__factor": 1,
            "transaction__state__log__min__isr": 1}


@pytest.fixture(scope="module", params=[Node, KafkaNode], ids=["ottla", "kafka"])
def broker(request, tmp_path_factory):
    node = request.param(tmp_path_factory.mktemp("broker"), **SETTINGS).start()
    yield node
    assert node.stop() in (0, 143), node.log()


@pytest.fixture
def topic(broker, request):
    return request.node.name.translate(str.maketrans("[]", "--")).strip("-")


def consume(node, topic, partitions=1, **settings):
    """Lines as consumer_tool prints them, split at the bars."""
    run = subprocess.run([TOOL, topic, str(partitions),
                          *(f"{key.replace('_', '.')}={value}" for key, value in settings.items())],
                         capture_output=True, text=True, timeout=120,
                         env={**os.environ, "OTTLA_TEST_BOOTSTRAP": node.bootstrap})
    assert run.returncode == 0, run.stderr
    return [line.split("|") for line in run.stdout.splitlines()]


def write_with_java(node, *arguments):
    run = subprocess.run([KAFKA, "tool", os.path.join(HERE, "Writer.java"), node.bootstrap,
                          *map(str, arguments)], capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("codec", CODECS)
def test_what_kcat_wrote(broker, topic, codec):
    broker.create_topic(topic, 1)
    lines = "".join(f"key-{n}:value {n} and some text\n" for n in range(RECORDS))
    subprocess.run(["kcat", "-b", broker.bootstrap, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec,
                    "-H", "one=1", "-H", "two=", "-X", "linger.ms=50"], input=lines, text=True,
                   timeout=60, check=True)
    read = consume(broker, topic)
    assert [(line[1], line[3], line[4], line[5]) for line in read] == \
        [(str(n), f"key-{n}", f"value {n} and some text", "one=1,two=") for n in range(RECORDS)]


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4"])
def test_what_kafka_python_wrote(broker, topic, codec):
    from kafka import KafkaProducer
    broker.create_topic(topic, 1)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=50,
                             compression_type=None if codec == "none" else codec)
    for n in range(RECORDS):
        producer.send(topic, b"value %d" % n, key=None, partition=0, timestamp_ms=TIME + n)
    producer.close()
    assert consume(broker, topic) == [["0", str(n), str(TIME + n), "NULL", f"value {n}", ""]
                                      for n in range(RECORDS)]


def test_what_java_wrote(broker, topic):
    """All codecs in one partition."""
    broker.create_topic(topic, 1)
    write_with_java(broker, "plain", topic, TIME)
    assert consume(broker, topic) == [
        ["0", str(n), str(TIME + n), f"key-{n}", f"value {n} and some text",
         f"number={n},nothing=NULL"] for n in range(len(CODECS) * RECORDS)]


def test_small_fetches(broker, topic):
    broker.create_topic(topic, 2)
    for partition in range(2):
        subprocess.run(["kcat", "-b", broker.bootstrap, "-P", "-t", topic, "-p", str(partition), "-z",
                        "zstd", "-X", "batch.num.messages=10"],
                       input="".join(f"{n}\n" for n in range(RECORDS)), text=True, timeout=60,
                       check=True)
    read = consume(broker, topic, 2, fetch_max_bytes=1000, max_partition_fetch_bytes=300,
                   max_poll_records=3)
    for partition in "01":
        assert [line[4] for line in read if line[0] == partition] == [str(n) for n in range(RECORDS)]


@pytest.mark.parametrize("seed", [1, 2])
def test_committed_transactions_of_java(broker, topic, seed):
    broker.create_topic(topic, 3)
    committed = {tuple(line.split()) for line in write_with_java(broker, "transactions", topic, seed)}
    every = consume(broker, topic, 3)
    assert len(every) > len(committed)  # an abort drops what was not sent yet
    expected = [line for line in every if (line[0], line[4]) in committed]
    assert len(expected) == len(committed)
    read = consume(broker, topic, 3, isolation_level="read_committed")
    assert by_partition(read) == by_partition(expected)


def by_partition(lines):
    return {p: [line for line in lines if line[0] == p] for p in "012"}


def test_a_killed_node_is_read_on_of_ottla(tmp_path):
    """SIGKILL under a consumer, again and again: each record once, in order."""
    node, count = Node(tmp_path).start(), 300_000
    topic = node.create_topic("killed", 2)
    for partition in "01":
        subprocess.run(["kcat", "-b", node.bootstrap, "-P", "-t", topic, "-p", partition, "-z", "lz4",
                        "-X", "batch.num.messages=100"],
                       input="".join(f"{n}\n" for n in range(count)), text=True, timeout=60, check=True)
    out = tmp_path / "read"
    with open(out, "w") as file:
        tool = subprocess.Popen([TOOL, topic, "2", "fetch.max.bytes=1", "retry.backoff.ms=10",
                                 "reconnect.backoff.ms=10"], stdout=file, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, "OTTLA_TEST_BOOTSTRAP": node.bootstrap})
    kills = 0
    while tool.poll() is None and kills < 6:
        time.sleep(random.uniform(0.02, 0.1))
        node.kill()
        node.start()
        kills += 1
    errors = tool.communicate(timeout=120)[1]
    assert tool.returncode == 0, errors
    assert kills > 2, "the consumer was done too soon"
    lines = [line.split("|") for line in out.read_text().splitlines()]
    for partition in "01":
        assert [int(line[4]) for line in lines if line[0] == partition] == list(range(count))
    assert node.stop() == 0
