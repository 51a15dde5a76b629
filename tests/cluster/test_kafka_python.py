"""kafka-python."""
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


def read_all(node, topic, count):
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=10000)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    records = []
    for record in consumer:
        records.append(record)
        if len(records) == count:
            break
    consumer.close()
    return records


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_every_codec_and_acks(shared_node, codec, acks):
    topic = shared_node.create_topic(f"kp-{codec}-{acks}")
    producer = KafkaProducer(bootstrap_servers=shared_node.bootstrap, compression_type=codec,
                             acks=acks, enable_idempotence=False)
    for n in range(500):
        producer.send(topic, b"%d" % n, key=b"k", headers=[("h", b"%d" % n)], partition=0)
    producer.flush(30)
    producer.close()
    records = read_all(shared_node, topic, 500)
    assert [int(record.value) for record in records] == list(range(500))
    assert records[7].headers == [("h", b"7")]


def test_idempotent_producer(shared_node):
    topic = shared_node.create_topic("kp-idempotent")
    producer = KafkaProducer(bootstrap_servers=shared_node.bootstrap, enable_idempotence=True,
                             linger_ms=1)
    for n in range(2000):
        producer.send(topic, b"%d" % n, partition=0)
    producer.flush(30)
    producer.close()
    assert [int(record.value) for record in read_all(shared_node, topic, 2000)] == list(range(2000))
    found = shared_node.rpc("DescribeProducers", {
        "topics": [{"name": topic, "partitionIndexes": [0]}]})["topics"][0]["partitions"][0]
    assert [active["lastSequence"] for active in found["activeProducers"]] == [1999]


def test_tombstones_and_empty_values(shared_node):
    topic = shared_node.create_topic("kp-tombstones")
    producer = KafkaProducer(bootstrap_servers=shared_node.bootstrap)
    for key, value in ((b"k", None), (None, b"v"), (b"", b"")):
        producer.send(topic, value, key=key, partition=0)
    producer.flush(30)
    producer.close()
    records = read_all(shared_node, topic, 3)
    assert [(r.key, r.value) for r in records] == [(b"k", None), (None, b"v"), (b"", b"")]


def test_five_megabyte_records(shared_node):
    topic = shared_node.create_topic("kp-large", max_message_bytes=6_000_000)
    producer = KafkaProducer(bootstrap_servers=shared_node.bootstrap, max_request_size=6_000_000)
    value = bytes(range(256)) * 20_000
    for _ in range(3):
        producer.send(topic, value, partition=0)
    producer.flush(60)
    producer.close()
    assert [record.value == value for record in read_all(shared_node, topic, 3)] == [True] * 3


def test_fetch_from_64_partitions_at_once(shared_node):
    topic = shared_node.create_topic("kp-wide", 64)
    producer = KafkaProducer(bootstrap_servers=shared_node.bootstrap)
    for n in range(6400):
        producer.send(topic, b"%d" % n, partition=n % 64)
    producer.flush(60)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=shared_node.bootstrap, consumer_timeout_ms=10000)
    consumer.assign([TopicPartition(topic, number) for number in range(64)])
    consumer.seek_to_beginning()
    found = {number: [] for number in range(64)}
    for count, record in enumerate(consumer, 1):
        found[record.partition].append(int(record.value))
        if count == 6400:
            break
    consumer.close()
    assert found == {number: list(range(number, 6400, 64)) for number in range(64)}


def test_seek_and_offsets_for_times(shared_node):
    topic = shared_node.create_topic("kp-times")
    producer = KafkaProducer(bootstrap_servers=shared_node.bootstrap)
    for n in range(100):
        producer.send(topic, b"%d" % n, partition=0, timestamp_ms=1_700_000_000_000 + n)
    producer.flush(30)
    producer.close()
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=shared_node.bootstrap, consumer_timeout_ms=10000)
    consumer.assign([partition])
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 100}
    found = consumer.offsets_for_times({partition: 1_700_000_000_042})
    assert found[partition].offset == 42
    consumer.seek(partition, 42)
    assert int(next(consumer).value) == 42
    consumer.close()


def test_admin(shared_node):
    admin = KafkaAdminClient(bootstrap_servers=shared_node.bootstrap)
    admin.create_topics([NewTopic("kp-admin", 3, 1, topic_configs={"retention.ms": "777"})])
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic("kp-admin", 3, 1)])
    assert "kp-admin" in admin.list_topics()
    configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "kp-admin")])
    assert "777" in str(configs)
    admin.delete_topics(["kp-admin"])
    assert "kp-admin" not in admin.list_topics()
    admin.close()
