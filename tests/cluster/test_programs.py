"""Real programs as their users run them: Kafka Streams, a Connect worker, MirrorMaker 2. Programs and
node are killed in the middle; nothing is lost, and twice is only what was not committed."""
import collections
import os
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from exactly_once import READ_COMMITTED, ends, wait_ended
from node import free_ports
from programs import HERE, Kafka, Program, Rest, wait_for, write_properties

WORDS = "the quick brown fox jumps over the lazy dog".split()


@pytest.fixture
def run_program(tmp_path):
    programs = []

    def run(name, *arguments):
        programs.append(Program(tmp_path, name, *arguments))
        return programs[-1]

    yield run
    for program in programs:
        if program.process.poll() is None:
            program.kill()


def produce(bootstrap, topic, records):
    """(key, value) pairs; to partitions by their keys."""
    errors = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda error, _: error and errors.append(error))
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not errors, errors[:3]


class Reader:
    """All records of a topic, from its beginning; more each time that it is asked."""

    def __init__(self, bootstrap, topic, partitions, isolation="read_committed"):
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody",
                                  "isolation.level": isolation, "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, partition, 0)
                              for partition in range(partitions)])
        self.records = []

    def read(self):
        while found := self.consumer.consume(1000, 0.3):
            self.records += [message for message in found if message.error() is None]
        return self.records

    def close(self):
        self.consumer.close()


# --- Kafka Streams ---

class Counted:
    """What the word count has said: the last count of each word, and whether one ever went back."""

    def __init__(self, node, topic, partitions):
        self.reader = Reader(node.bootstrap, topic, partitions)

    def counts(self):
        return {message.key().decode(): int.from_bytes(message.value(), "big")
                for message in self.reader.read()}

    def is_exact(self, wanted):
        """Whether each word was counted up by one each time, to what is wanted, and nothing twice."""
        said = collections.defaultdict(list)
        for message in self.reader.read():
            said[message.key().decode()].append(int.from_bytes(message.value(), "big"))
        return said == {word: list(range(1, count + 1)) for word, count in wanted.items()}

    def reached(self, wanted):
        counts = self.counts()
        return all(counts.get(word, 0) >= count for word, count in wanted.items())


def wait_begun(node, topic, partitions, work=lambda: None):
    """Until a transaction has just begun: who is killed now leaves it open. Meanwhile there is work."""
    before = ends(node, topic, partitions, READ_COMMITTED)

    def begun():
        work()
        end = ends(node, topic, partitions, 0)
        return before != ends(node, topic, partitions, READ_COMMITTED) < end

    wait_for(begun, what=f"an open transaction in {topic}")


def transaction(node, transactional_id):
    return node.rpc("DescribeTransactions:0", {"transactionalIds": [transactional_id]})[
        "transactionStates"][0]


def has_begun(node, transactional_id):
    """A moment ago: it will not be over when its producer is killed now."""
    found = transaction(node, transactional_id)
    return (found["transactionState"] == "Ongoing"
            and time.time() * 1000 - found["transactionStartTimeMs"] < 400)


def aborted(bootstrap, topic, partitions, committed):
    """How many records were written that nobody reads."""
    reader = Reader(bootstrap, topic, partitions, "read_uncommitted")
    count = len(reader.read()) - committed
    reader.close()
    return count


def lines(first, count):
    """Lines that name their number, and how often each word is in them."""
    made, words = [], collections.Counter()
    for number in range(first, first + count):
        line = WORDS[:number % len(WORDS) + 1] + [f"line-{number}"]
        words.update(line)
        made.append((str(number), " ".join(line)))
    return made, words


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_streams_count_words(make_node, run_program, tmp_path, guarantee):
    node = make_node().start()
    node.create_topic("lines", 4)
    node.create_topic("counts", 2)
    exactly_once = guarantee != "at_least_once"

    def count_words(name):
        return run_program(name, os.path.join(HERE, "streams", "WordCount.java"), node.bootstrap,
                           "word-count", "lines", "counts", str(tmp_path / name),
                           "session.timeout.ms=6000", "heartbeat.interval.ms=500",
                           f"commit.interval.ms={1500 if exactly_once else 300}",
                           "statestore.cache.max.bytes=0",
                           f"processing.guarantee={guarantee}")

    counted = Counted(node, "counts", 2)
    first = count_words("first")
    made, wanted = lines(0, 500)
    produce(node.bootstrap, "lines", made)
    wait_for(lambda: first.check() and counted.reached(wanted), what="the first counts")
    assert counted.counts() == wanted  # nothing was disturbed yet: exactly once each

    if exactly_once:
        first_id, = (each["transactionalId"] for each in
                     node.rpc("ListTransactions:0")["transactionStates"])
    second = count_words("second")
    wait_for(lambda: second.check() and "RUNNING" in second.log().split(), what="the second")
    made, more = lines(500, 2000)
    wanted += more
    if exactly_once:
        chunks = [made[at:at + 50] for at in range(0, 1000, 50)]
        wait_for(lambda: (chunks and produce(node.bootstrap, "lines", chunks.pop(0)))
                 or has_begun(node, first_id), what="an open transaction")
        first.kill()
        assert transaction(node, first_id)["transactionState"] == "Ongoing"
        made = sum(chunks, []) + made[1000:]
    else:
        produce(node.bootstrap, "lines", made[:1000])
        first.kill()
        made = made[1000:]
    produce(node.bootstrap, "lines", made[:-500])
    node.kill()
    node.start()
    produce(node.bootstrap, "lines", made[-500:])
    wait_for(lambda: second.check() and counted.reached(wanted), what="the counts after the kills")
    assert set(counted.counts()) == set(wanted)
    assert second.stop() == 143
    if exactly_once:  # nothing more came, and something was aborted
        wait_ended(node, "counts", 2, 40)
        assert counted.is_exact(wanted)
        assert transaction(node, first_id)["transactionState"] == "CompleteAbort"
    counted.reader.close()
    group = node.rpc("DescribeGroups:5", {"groups": ["word-count"]})["groups"][0]
    assert group["protocolType"] == "consumer", group


# --- Connect ---

class Workers:
    """Connect workers, one after the other at the same address."""

    def __init__(self, node, run_program, folder, **more):
        port, = free_ports(1)
        converter = "org.apache.kafka.connect.storage.StringConverter"
        self.settings = write_properties(
            folder / "worker.properties", bootstrap__servers=node.bootstrap, group__id="workers",
            listeners=f"http://127.0.0.1:{port}", key__converter=converter,
            value__converter=converter,
            config__storage__topic="worker-configs", config__storage__replication__factor=1,
            offset__storage__topic="worker-offsets", offset__storage__replication__factor=1,
            status__storage__topic="worker-status", status__storage__replication__factor=1,
            offset__flush__interval__ms=500, session__timeout__ms=6000,
            heartbeat__interval__ms=500, consumer__session__timeout__ms=6000,
            consumer__heartbeat__interval__ms=500, **more)
        self.rest, self.run_program = Rest(port), run_program

    def start(self, name):
        worker = self.run_program(name, "org.apache.kafka.connect.cli.ConnectDistributed",
                                  self.settings)
        wait_for(lambda: worker.check() and self.rest.call("GET", "/connectors") is not None, 90,
                 "the worker")
        return worker


def write_lines(path, first, count):
    with open(path, "a") as file:
        file.writelines(f"line {number}\n" for number in range(first, first + count))
    return first + count


def test_a_connect_worker_carries_a_file_through_a_topic(make_node, run_program, tmp_path):
    node = make_node().start()
    source, sink = tmp_path / "source.txt", tmp_path / "sink.txt"
    workers = Workers(node, run_program, tmp_path)
    rest, start = workers.rest, workers.start

    def write(first, count):
        write_lines(source, first, count)

    def arrived(count):
        wanted = {f"line {number}" for number in range(count)}
        return sink.exists() and wanted <= set(sink.read_text().splitlines())

    worker = start("worker")
    write(0, 1000)
    for name, more in (("source", {"topic": "lines", "file": str(source)}),
                       ("sink", {"topics": "lines", "file": str(sink)})):
        config = {"connector.class": f"FileStream{name.title()}", "tasks.max": "1", **more}
        made = wait_for(lambda: rest.call("PUT", f"/connectors/{name}/config", config), what=name)
        assert made["name"] == name
    wait_for(lambda: worker.check() and arrived(1000), what="what was written first")
    assert sink.read_text() == source.read_text()
    wait_for(lambda: rest.runs("source") and rest.runs("sink"), what="tasks that run")

    node.kill()
    write(1000, 1000)
    node.start()
    wait_for(lambda: worker.check() and arrived(2000), what="what was written meanwhile")
    time.sleep(1.5)  # offsets are flushed
    worker.kill()
    write(2000, 1000)
    worker = start("again")
    wait_for(lambda: worker.check() and arrived(3000), what="what was written without a worker")
    wait_for(lambda: rest.runs("source") and rest.runs("sink"), what="tasks that run again")
    found = sink.read_text().splitlines()
    assert set(found) == set(source.read_text().splitlines())
    assert found.count("line 0") == 1  # the second worker went on where the first had been
    assert worker.stop() == 143


def test_a_connect_worker_brings_each_line_once(make_node, run_program, tmp_path):
    """With exactly-once support: worker and node are killed, and no offsets are waited for."""
    node = make_node().start()
    node.create_topic("lines", 1)
    source = tmp_path / "source.txt"
    workers = Workers(node, run_program, tmp_path, exactly__once__source__support="enabled")
    reader = Reader(node.bootstrap, "lines", 1)

    def brought(count):
        return len(reader.read()) >= count

    worker = workers.start("worker")
    write_lines(source, 0, 1000)
    config = {"connector.class": "FileStreamSource", "tasks.max": "1", "topic": "lines",
              "file": str(source), "exactly.once.support": "required",
              "batch.size": 100000,  # beyond which it keeps lines until others come
              "transaction.boundary": "interval", "transaction.boundary.interval.ms": 1500}
    wait_for(lambda: workers.rest.call("PUT", "/connectors/source/config", config), what="source")
    wait_for(lambda: worker.check() and brought(1000), what="what was written first")
    count = 1000

    def write(more):
        nonlocal count
        count = write_lines(source, count, more)

    for _ in range(100):
        write(100)
        time.sleep(0.01)
    wait_begun(node, "lines", 1, lambda: write(10))
    worker.kill()
    assert ends(node, "lines", 1, READ_COMMITTED) < ends(node, "lines", 1, 0)
    write(10000)
    node.kill()
    node.start()
    worker = workers.start("again")
    wait_for(lambda: worker.check() and brought(count), what="the rest of it")
    wait_begun(node, "lines", 1, lambda: write(10))
    node.kill()
    write(1000)
    node.start()
    wait_for(lambda: worker.check() and brought(count), what="what was written without a node")
    assert worker.stop() == 143
    wait_ended(node, "lines", 1, 40)
    assert [message.value().decode() for message in reader.read()] == [
        f"line {number}" for number in range(count)]
    assert aborted(node.bootstrap, "lines", 1, count) > 0
    reader.close()


# --- MirrorMaker 2 ---

@pytest.fixture
def kafka(tmp_path):
    cluster = Kafka(tmp_path / "kafka", free_ports(2, adjacent=True)[0])
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def mirrored(reader):
    """What must be alike on both sides, by partition, in order."""
    found = collections.defaultdict(list)
    for message in reader.read():
        found[message.partition()].append((message.key(), message.value(), message.timestamp(),
                                           message.headers()))
    return found


def orders(first, count):
    return [(f"key {number % 97}", f"order {number}") for number in range(first, first + count)]


def committed(bootstrap, group, topic, partitions):
    """Offsets by partition, of those that have one."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    found = consumer.committed([TopicPartition(topic, partition)
                                for partition in range(partitions)], timeout=30)
    consumer.close()
    return {partition.partition: partition.offset for partition in found if partition.offset >= 0}


def consume(bootstrap, group, topic, count):
    """A member that reads as much, commits it and leaves."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group,
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    read = []
    while len(read) < count:
        read += [message for message in consumer.consume(min(100, count - len(read)), 1)
                 if message.error() is None]
    offsets = {}
    for message in read:
        offsets[message.partition()] = message.offset() + 1
    consumer.commit(offsets=[TopicPartition(topic, *item) for item in offsets.items()],
                    asynchronous=False)
    consumer.close()
    return offsets


def test_mirrormaker_carries_topics_and_groups_from_kafka(make_node, run_program, kafka, tmp_path):
    node = make_node().start()
    settings = write_properties(
        tmp_path / "mm2.properties", clusters="kafka,ottla",
        kafka__bootstrap__servers=kafka.bootstrap, ottla__bootstrap__servers=node.bootstrap,
        **{"kafka->ottla.enabled": "true", "kafka->ottla.topics": "orders",
           "kafka->ottla.sync.group.offsets.enabled": "true",
           "ottla->kafka.emit.heartbeats.enabled": "false",
           "offset-syncs.topic.replication.factor": 1},
        replication__policy__class="org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        replication__factor=1, checkpoints__topic__replication__factor=1,
        heartbeats__topic__replication__factor=1,
        config__storage__replication__factor=1, offset__storage__replication__factor=1,
        status__storage__replication__factor=1, emit__checkpoints__interval__seconds=1,
        sync__group__offsets__interval__seconds=1, refresh__groups__interval__seconds=1,
        offset__lag__max=0, ottla__offset__flush__interval__ms=500)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic("orders", 3, 1, config={"retention.ms": "123456789"})])[
        "orders"].result(30)
    theirs, ours = Reader(kafka.bootstrap, "orders", 3), Reader(node.bootstrap, "orders", 3)
    produce(kafka.bootstrap, "orders", orders(0, 2000))
    half = consume(kafka.bootstrap, "slow", "orders", 1000)
    end = consume(kafka.bootstrap, "quick", "orders", 2000)

    maker = run_program("mirror", "org.apache.kafka.connect.mirror.MirrorMaker", settings)
    wait_for(lambda: maker.check() and len(ours.read()) >= 2000, 120, "what was there")
    wait_for(lambda: maker.check() and committed(node.bootstrap, "quick", "orders", 3) == end,
             what="a group's offsets")

    node.kill()
    produce(kafka.bootstrap, "orders", orders(2000, 1000))
    node.start()
    wait_for(lambda: maker.check() and len(ours.read()) >= 3000, what="what came meanwhile")
    assert mirrored(ours) == mirrored(theirs)
    theirs.close()
    ours.close()

    end = consume(kafka.bootstrap, "quick", "orders", 1000)
    wait_for(lambda: maker.check() and committed(node.bootstrap, "quick", "orders", 3) == end,
             what="the offsets of a group that went on")
    # Between its marks MirrorMaker translates to an offset that is not after the true one.
    found = committed(node.bootstrap, "slow", "orders", 3)
    assert all(found[partition] <= half[partition] for partition in found), (found, half)
    described = node.rpc("DescribeConfigs:4", {"resources": [
        {"resourceType": 2, "resourceName": "orders", "configurationKeys": ["retention.ms"]}]})
    assert described["results"][0]["configs"][0]["value"] == "123456789"
    assert maker.stop() == 143
