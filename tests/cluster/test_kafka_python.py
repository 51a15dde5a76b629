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
