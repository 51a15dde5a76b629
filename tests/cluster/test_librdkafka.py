"""librdkafka, through kcat and confluent-kafka."""
import subprocess
import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic, OffsetSpec, ResourceType)

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(node, topic, records, **settings):
    """Produces (key, value, headers) and returns the delivered messages in order."""
    delivered = []
    producer = Producer({"bootstrap.servers": node.bootstrap, **settings})

    def note(error, message):
        assert error is None, error
        delivered.append(message)

    for number, record in enumerate(records):
        key, value, headers = record
        producer.produce(topic, value, key, partition=0, headers=headers, on_delivery=note)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0
    return delivered


def consume(node, topic, count, partitions=(0,), offset=0, timeout=30, **settings):
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "test",
                         "enable.auto.commit": False, "check.crcs": True, **settings})
    consumer.assign([TopicPartition(topic, partition, offset) for partition in partitions])
    messages = []
    deadline = time.monotonic() + timeout
    while len(messages) < count and time.monotonic() < deadline:
        for message in consumer.consume(10000, 0.5):
            assert message.error() is None, message.error()
            messages.append(message)
    consumer.close()
    assert len(messages) == count
    return messages


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_codec_and_acks(shared_node, codec, acks):
    topic = shared_node.create_topic(f"codec-{codec}-{acks}")
    records = [(b"k%d" % n, b"value %d " % n * 5, None) for n in range(2000)]
    produce(shared_node, topic, records, **{"compression.codec": codec, "acks": acks})
    messages = consume(shared_node, topic, len(records))
    assert [(m.key(), m.value()) for m in messages] == [(k, v) for k, v, _ in records]
    assert [m.offset() for m in messages] == list(range(len(records)))


@pytest.mark.parametrize("codec", CODECS)
def test_idempotent_producer(shared_node, codec):
    topic = shared_node.create_topic(f"idempotent-{codec}")
    records = [(None, b"%d" % n, None) for n in range(20000)]
    produce(shared_node, topic, records, **{"enable.idempotence": True, "linger.ms": 1,
                                            "compression.codec": codec})
    assert [m.value() for m in consume(shared_node, topic, len(records))] == \
        [value for _, value, _ in records]
    producers = shared_node.rpc("DescribeProducers:0", {
        "topics": [{"name": topic, "partitionIndexes": [0]}]})
    active = producers["topics"][0]["partitions"][0]["activeProducers"]
    assert len(active) == 1 and active[0]["lastSequence"] == len(records) - 1


def test_headers_tombstones_and_empty_values(shared_node):
    topic = shared_node.create_topic("odd-records")
    records = [(b"key", None, None), (None, None, None), (b"", b"", None),
               (b"key", b"value", [("a", b"1"), ("a", b"2"), ("empty", b""), ("none", None)])]
    produce(shared_node, topic, records)
    messages = consume(shared_node, topic, len(records))
    assert [m.value() for m in messages] == [None, None, b"", b"value"]
    assert messages[3].headers() == records[3][2]


def test_five_megabyte_records(shared_node):
    topic = shared_node.create_topic("large", max_message_bytes=6000000)
    records = [(None, bytes([n]) * 5_000_000, None) for n in range(3)]
    produce(shared_node, topic, records, **{"message.max.bytes": 6000000})
    messages = consume(shared_node, topic, 3, **{"fetch.message.max.bytes": 1000000})
    assert [m.value() for m in messages] == [value for _, value, _ in records]


def test_a_record_that_is_too_large_is_refused(shared_node):
    topic = shared_node.create_topic("small", max_message_bytes=1000)
    with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE|too large"):
        produce(shared_node, topic, [(None, b"x" * 5000, None)])


def test_seek_by_time(shared_node):
    topic = shared_node.create_topic("times")
    producer = Producer({"bootstrap.servers": shared_node.bootstrap})
    for n in range(1000):
        producer.produce(topic, b"%d" % n, partition=0, timestamp=1_700_000_000_000 + n * 1000)
    producer.flush()
    consumer = Consumer({"bootstrap.servers": shared_node.bootstrap, "group.id": "times"})
    for wanted, offset in [(0, 0), (400, 400), (999, 999)]:
        found = consumer.offsets_for_times(
            [TopicPartition(topic, 0, 1_700_000_000_000 + wanted * 1000 - 500)])
        assert found[0].offset == offset
    beyond = consumer.offsets_for_times([TopicPartition(topic, 0, 1_800_000_000_000)])
    assert beyond[0].offset == -1
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0)) == (0, 1000)
    consumer.close()


def test_fetch_from_64_partitions_at_once(shared_node):
    topic = shared_node.create_topic("wide", partitions=64)
    producer = Producer({"bootstrap.servers": shared_node.bootstrap})
    for n in range(6400):
        producer.produce(topic, b"%d" % n, partition=n % 64)
    producer.flush()
    messages = consume(shared_node, topic, 6400, partitions=range(64))
    for partition in range(64):
        values = [int(m.value()) for m in messages if m.partition() == partition]
        assert values == list(range(partition, 6400, 64))


def test_a_waiting_fetch_is_answered_by_an_append(shared_node):
    topic = shared_node.create_topic("waiting")
    consumer = Consumer({"bootstrap.servers": shared_node.bootstrap, "group.id": "waiting",
                         "fetch.wait.max.ms": 20000, "fetch.min.bytes": 1})
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert consumer.poll(1.0) is None
    threading.Timer(0.5, lambda: produce(shared_node, topic, [(None, b"now", None)])).start()
    started = time.monotonic()
    message = consumer.poll(15)
    assert message is not None and message.value() == b"now"
    assert time.monotonic() - started < 10
    consumer.close()


def test_an_offset_out_of_range(shared_node):
    topic = shared_node.create_topic("range")
    produce(shared_node, topic, [(None, b"x", None)] * 10)
    consumer = Consumer({"bootstrap.servers": shared_node.bootstrap, "group.id": "range",
                         "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, 0, 500)])
    message = consumer.poll(10)
    assert message.error().code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
    consumer.close()


def test_admin(shared_node):
    admin = AdminClient({"bootstrap.servers": shared_node.bootstrap})
    admin.create_topics([NewTopic("admin", 2, 1, config={"retention.ms": "1234567"})])[
        "admin"].result(30)
    with pytest.raises(KafkaException) as again:
        admin.create_topics([NewTopic("admin", 2, 1)])["admin"].result(30)
    assert again.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS

    admin.create_partitions([NewPartitions("admin", 5)])["admin"].result(30)
    assert len(admin.list_topics("admin", 30).topics["admin"].partitions) == 5

    resource = ConfigResource(ResourceType.TOPIC, "admin")
    configs = admin.describe_configs([resource])[resource].result(30)
    assert configs["retention.ms"].value == "1234567"
    change = ConfigResource(ResourceType.TOPIC, "admin", incremental_configs=[
        ConfigEntry("retention.ms", "99", incremental_operation=AlterConfigOpType.SET)])
    admin.incremental_alter_configs([change])[change].result(30)
    assert admin.describe_configs([resource])[resource].result(30)["retention.ms"].value == "99"

    produce(shared_node, "admin", [(None, b"x", None)] * 100)
    deleted = admin.delete_records([TopicPartition("admin", 0, 40)])
    for future in deleted.values():
        assert future.result(30).low_watermark == 40
    offsets = admin.list_offsets({TopicPartition("admin", 0): OffsetSpec.earliest()})
    assert [future.result(30).offset for future in offsets.values()] == [40]
    cluster = admin.describe_cluster().result(30)
    assert [broker.id for broker in cluster.nodes] == [1]
    admin.delete_topics(["admin"])["admin"].result(30)
    assert "admin" not in admin.list_topics(timeout=30).topics


def test_a_thousand_topics(make_node):
    node = make_node().start()
    admin = AdminClient({"bootstrap.servers": node.bootstrap})
    names = [f"topic-{n}" for n in range(1000)]
    for start in range(0, 1000, 250):
        for future in admin.create_topics(
                [NewTopic(name, 1, 1) for name in names[start:start + 250]]).values():
            future.result(60)
    assert set(names) <= set(admin.list_topics(timeout=30).topics)
    producer = Producer({"bootstrap.servers": node.bootstrap})
    failed = []
    for name in names:
        producer.produce(name, name.encode(), partition=0,
                         on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
    producer.flush(60)
    assert not failed
    node.kill()
    node.start()
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "all"})
    consumer.assign([TopicPartition(name, 0, 0) for name in names])
    got = set()
    deadline = time.monotonic() + 60
    while len(got) < 1000 and time.monotonic() < deadline:
        for message in consumer.consume(1000, 1):
            assert message.value().decode() == message.topic()
            got.add(message.topic())
    consumer.close()
    assert got == set(names)


def test_sigkill_under_an_idempotent_producer(make_node):
    """Nothing that was acknowledged is lost, nothing is doubled, the order is kept."""
    node = make_node().start()
    topic = node.create_topic("killed")
    acknowledged = []
    producer = Producer({"bootstrap.servers": node.bootstrap, "enable.idempotence": True,
                         "linger.ms": 1, "reconnect.backoff.max.ms": 100,
                         "message.timeout.ms": 60000})

    def note(error, message):
        assert error is None, error
        acknowledged.append((int(message.value()), message.offset()))

    for n in range(100_000):
        while True:
            try:
                producer.produce(topic, b"%d" % n, partition=0, on_delivery=note)
                break
            except BufferError:
                producer.poll(0.1)
        if n in (20_000, 50_000, 80_000):
            producer.poll(0)
            node.kill()
            node.start()
        if n % 500 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0
    values = [int(m.value()) for m in consume(node, topic, 100_000)]
    assert values == list(range(100_000))
    assert sorted(acknowledged) == [(n, n) for n in range(100_000)]


def test_kcat_round_trip(shared_node):
    topic = "kcat-made-it"  # created by asking for its metadata
    text = "".join(f"{n}:value {n}\n" for n in range(5000))
    subprocess.run(["kcat", "-b", shared_node.bootstrap, "-P", "-t", topic, "-K", ":", "-z", "lz4"],
                   input=text, text=True, check=True, timeout=60)
    read = subprocess.run(["kcat", "-b", shared_node.bootstrap, "-C", "-t", topic, "-e", "-q", "-K",
                           ":"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert read == text
