"""Compacted topics on a real node: what is left, what is refused, what the metrics say, and a
partition that cannot be compacted."""
import glob
import os
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import InvalidRecordError

COMPACTED = {"cleanup_policy": "compact", "segment_bytes": 1 << 20,
             "min_cleanable_dirty_ratio": 0.01}
METRIC = "kafka_log_logcleanermanager_"


@pytest.fixture
def cleaning_node(make_node):
    return make_node(log__cleaner__backoff__ms=100).start()


def write(node, topic, rounds, key_count=10):
    """Each key in each round, in batches that go out at once; so some MiB."""
    producer = KafkaProducer(bootstrap_servers=node.bootstrap, linger_ms=0)
    for number in range(rounds):
        for key in range(key_count):
            producer.send(topic, b"%d " % number + bytes(50000), key=b"%d" % key, partition=0)
        producer.flush(30)
    producer.close()


def read(node, topic):
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, auto_offset_reset="earliest",
                             enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    records = []
    while consumer.position(partition) < end:
        for some in consumer.poll(1000).values():
            records += some
    consumer.close()
    return records


def wait_for(condition, node, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, node.log()[-3000:]
        time.sleep(0.1)


def test_the_newest_of_each_key_stays(cleaning_node):
    topic = cleaning_node.create_topic("newest", **COMPACTED)
    write(cleaning_node, topic, 12)
    wait_for(lambda: len(read(cleaning_node, topic)) < 60, cleaning_node)
    newest = {record.key: int(record.value.split()[0]) for record in read(cleaning_node, topic)}
    assert newest == {b"%d" % key: 11 for key in range(10)}
    page = cleaning_node.http("/metrics")[1]
    for name in ("max_dirty_percent", "time_since_last_run_ms", "uncleanable_partitions_count",
                 "uncleanable_bytes"):
        assert METRIC + name in page
    assert cleaning_node.metric(METRIC + "uncleanable_partitions_count") == 0
    assert 0 < cleaning_node.metric("kafka_log_logcleaner_cleaner_recopy_percent") < 100


def test_records_without_a_key_are_refused(cleaning_node):
    topic = cleaning_node.create_topic("keys", **COMPACTED)
    producer = KafkaProducer(bootstrap_servers=cleaning_node.bootstrap, enable_idempotence=False)
    with pytest.raises(InvalidRecordError):
        producer.send(topic, b"value", partition=0).get(10)
    producer.send(topic, b"value", key=b"key", partition=0).get(10)
    producer.close()
    metric = "kafka_server_brokertopicmetrics_%s_total"
    assert cleaning_node.metric(metric % "nokeycompactedtopicrecords") == 1
    assert cleaning_node.metric(metric % "invalidmessagecrcrecords") == 0


def test_what_is_damaged_is_left_alone(cleaning_node):
    node = cleaning_node
    settings = {**COMPACTED, "cleanup_policy": "delete"}
    bad, good = node.create_topic("bad", **settings), node.create_topic("good", **settings)
    for topic in (bad, good):
        write(node, topic, 8)
    first = sorted(glob.glob(os.path.join(node.settings["log.dirs"], "bad-0", "*.log")))[1]
    with open(first, "r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    answer = node.rpc("IncrementalAlterConfigs:1", {"resources": [
        {"resourceType": 2, "resourceName": topic, "configs": [
            {"name": "cleanup.policy", "configOperation": 0, "value": "compact"}]}
        for topic in (bad, good)]})
    assert all(one["errorCode"] == 0 for one in answer["responses"]), answer
    wait_for(lambda: node.metric(METRIC + "uncleanable_partitions_count") == 1, node)
    assert node.metric(METRIC + "uncleanable_bytes") > 500000
    assert "bad-0 cannot be compacted and is left alone until the next start" in node.log()
    assert f"({first}" in node.log()
    wait_for(lambda: len(read(node, good)) < 60, node)
    write(node, bad, 1)  # and it takes records as before
