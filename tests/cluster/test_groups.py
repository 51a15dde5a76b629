"""Committed offsets and the groups around them, with real clients: commits outside of any membership,
administration, lag, and what survives when the node is killed."""
import random
import subprocess
import threading
import time

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as Partition
from kafka.structs import OffsetAndMetadata

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def consumer(shared_node):
    """Consumers of kafka-python that assign themselves."""
    made = []

    def make(group, node=shared_node, **settings):
        made.append(KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group,
                                  enable_auto_commit=False, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def admin(shared_node):
    return AdminClient({"bootstrap.servers": shared_node.bootstrap})


def commit(consumer, topic, offsets, metadata=""):
    consumer.assign([Partition(topic, index) for index in offsets])
    consumer.commit({Partition(topic, index): OffsetAndMetadata(offset, metadata, -1)
                     for index, offset in offsets.items()})


def produce(node, topic, count, partition):
    subprocess.run(["kcat", "-b", node.bootstrap, "-P", "-t", topic, "-p", str(partition)],
                   input="".join(f"{number}\n" for number in range(count)), text=True, check=True)


def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- commits of those who are no member ---

def test_offsets_committed_by_who_assigns_itself(shared_node, consumer):
    topic = shared_node.create_topic("simple", 3)
    one = consumer("simple")
    commit(one, topic, {0: 5, 2: 7}, "noted")
    other = consumer("simple")
    assert other.committed(Partition(topic, 0), metadata=True) == OffsetAndMetadata(5, "noted", -1)
    assert other.committed(Partition(topic, 1)) is None
    assert other.committed(Partition(topic, 2)) == 7


def test_reading_goes_on_where_the_last_one_stopped(shared_node, consumer):
    topic = shared_node.create_topic("goes-on", 1)
    produce(shared_node, topic, 100, 0)
    seen = []
    for _ in range(4):
        one = consumer("goes-on", auto_offset_reset="earliest", max_poll_records=25,
                       consumer_timeout_ms=5000)
        one.assign([Partition(topic, 0)])
        records = []
        while not records:
            records = [record for batch in one.poll(5000).values() for record in batch]
        seen += [int(record.value) for record in records]
        one.commit()
    assert seen == list(range(100))


# --- administration: librdkafka ---

def test_groups_are_listed_and_described(shared_node, consumer, admin):
    topic = shared_node.create_topic("listed", 1)
    commit(consumer("listed"), topic, {0: 1})
    listed = {group.group_id: group for group in admin.list_consumer_groups().result().valid}
    assert listed["listed"].state == ConsumerGroupState.EMPTY
    assert listed["listed"].is_simple_consumer_group
    states = {ConsumerGroupState.STABLE}
    assert "listed" not in {group.group_id for group
                            in admin.list_consumer_groups(states=states).result().valid}
    described = admin.describe_consumer_groups(["listed"])["listed"].result()
    assert described.state == ConsumerGroupState.EMPTY
    assert described.coordinator.port == shared_node.port


def test_offsets_are_altered_and_groups_deleted(shared_node, consumer, admin):
    topic = shared_node.create_topic("altered", 2)
    commit(consumer("altered"), topic, {0: 1, 1: 2})
    wanted = ConsumerGroupTopicPartitions("altered", [TopicPartition(topic, 0, 30)])
    admin.alter_consumer_group_offsets([wanted])["altered"].result()
    asked = [ConsumerGroupTopicPartitions("altered")]
    found = admin.list_consumer_group_offsets(asked)["altered"].result().topic_partitions
    assert {(each.partition, each.offset) for each in found} == {(0, 30), (1, 2)}
    admin.delete_consumer_groups(["altered"])["altered"].result()
    assert not admin.list_consumer_group_offsets(asked)["altered"].result().topic_partitions
    assert "altered" not in {group.group_id for group
                             in admin.list_consumer_groups().result().valid}


def test_offsets_are_deleted(shared_node, consumer):
    topic = shared_node.create_topic("deleted", 2)
    commit(consumer("deleted"), topic, {0: 1, 1: 2})
    admin = KafkaAdminClient(bootstrap_servers=shared_node.bootstrap)
    admin.delete_group_offsets("deleted", [Partition(topic, 0)])
    found = admin.list_group_offsets("deleted")
    admin.close()
    assert {each.partition for each in found["deleted"]} == {1}


# --- lag ---

def test_lag_in_records_and_seconds(shared_node, consumer):
    topic = shared_node.create_topic("lagging", 3)
    produce(shared_node, topic, 50, 0)
    produce(shared_node, topic, 20, 1)
    commit(consumer("lagging"), topic, {0: 10, 1: 20, 2: 0})
    wanted = {"0": (10, 40), "1": (20, 0), "2": (0, 0)}

    def metric(name, partition):
        return shared_node.metric(name, consumergroup="lagging", topic=topic, partition=partition)

    def told():
        return all((metric("kafka_consumergroup_current_offset", partition),
                    metric("kafka_consumergroup_lag", partition)) == values
                   for partition, values in wanted.items())

    eventually(told)
    assert shared_node.metric("kafka_consumergroup_lag_sum", consumergroup="lagging") == 40
    assert shared_node.metric("kafka_consumergroup_current_offset_sum",
                              consumergroup="lagging") == 30
    eventually(lambda: metric("kafka_consumergroup_lag_seconds", "0") > 1)
    assert metric("kafka_consumergroup_lag_seconds", "0") < 60
    assert metric("kafka_consumergroup_lag_seconds", "1") == 0
    produce(shared_node, topic, 5, 1)
    assert metric("kafka_consumergroup_lag", "1") == 5
    commit(consumer("lagging"), topic, {0: 50})
    eventually(lambda: metric("kafka_consumergroup_lag", "0") == 0
               and metric("kafka_consumergroup_lag_seconds", "0") == 0)


# --- what survives ---

def test_committed_offsets_never_go_back(make_node):
    """Several commit rising offsets while the node is killed again and again: what was answered is
    there afterwards, or something later."""
    node = make_node(offsets__topic__num__partitions=5).start()
    topic = node.create_topic("kept", 4)
    acknowledged, stopping, failures = {}, threading.Event(), []

    def keep_committing(number):
        group, offset = f"kept-{number}", 0
        while not stopping.is_set():
            try:
                one = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group,
                                    enable_auto_commit=False, request_timeout_ms=5000,
                                    session_timeout_ms=4000, heartbeat_interval_ms=1000)
                while not stopping.is_set():
                    offset += 1
                    commit(one, topic, {index: offset for index in range(4)})
                    acknowledged[group] = offset
            except Exception as error:  # the node was killed: once more
                failures.append(error)
                time.sleep(0.05)

    threads = [threading.Thread(target=keep_committing, args=(number,), daemon=True)
               for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        time.sleep(1 + random.random())
        before = dict(acknowledged)
        node.kill()
        node.start()
        deadline = time.monotonic() + 20
        for group, offset in before.items():
            while True:
                answer = node.rpc("OffsetFetch:9", {"groups": [{"groupId": group, "topics": None}]})
                found = answer["groups"][0]
                if found["errorCode"] == 0:
                    break
                assert time.monotonic() < deadline, found
                time.sleep(0.05)
            offsets = {each["committedOffset"] for each in found["topics"][0]["partitions"]}
            assert len(found["topics"][0]["partitions"]) == 4
            assert min(offsets) >= offset, (group, offset, offsets)
    stopping.set()
    for thread in threads:
        thread.join(30)
    assert len(acknowledged) == 3, failures[:3]
