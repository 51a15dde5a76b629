"""Transactions, with librdkafka; Java and franz-go are in test_java_and_go.py.

Where a test is about what one of the clients does not show, requests are made by hand.
"""
import time

import pytest
from confluent_kafka import (Consumer, KafkaError, KafkaException, Producer, TopicPartition,
                             ConsumerGroupTopicPartitions)
from confluent_kafka.admin import AdminClient


def producer_of(node, transactional_id, timeout_ms=60000):
    producer = Producer({"bootstrap.servers": node.bootstrap, "linger.ms": 0,
                         "transactional.id": transactional_id,
                         "transaction.timeout.ms": timeout_ms})
    producer.init_transactions(30)
    return producer


def read(node, topic, isolation="read_committed", partitions=1):
    """All values up to where a reader can get, in the order of offsets."""
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": f"read-{topic}",
                         "isolation.level": isolation, "enable.auto.commit": False,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    values, ended = [], set()
    deadline = time.monotonic() + 30
    while len(ended) < partitions:
        assert time.monotonic() < deadline, values
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            values.append(message.value())
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ended.add(message.partition())
    consumer.close()
    return values


def read_in_time(node, topic, values, partitions=1):
    """A commit is answered when it is decided; readers are told by markers, a moment later."""
    deadline = time.monotonic() + 10
    while True:
        found = read(node, topic, partitions=partitions)
        if sorted(found) == sorted(values) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def send(producer, topic, *values, partition=0):
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(30) == 0


def test_commits_and_aborts(shared_node):
    topic = shared_node.create_topic("commits-and-aborts")
    producer = producer_of(shared_node, "commits-and-aborts")
    for number in range(20):
        producer.begin_transaction()
        send(producer, topic, b"%d" % number, b"%d again" % number)
        if number % 3 == 0:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    committed = [value for n in range(20) if n % 3 != 0 for value in (b"%d" % n, b"%d again" % n)]
    assert read_in_time(shared_node, topic, committed) == committed
    assert len(read(shared_node, topic, "read_uncommitted")) == 40


def test_many_partitions_all_or_nothing(shared_node):
    topic = shared_node.create_topic("all-or-nothing", 20)
    producer = producer_of(shared_node, "all-or-nothing")
    producer.begin_transaction()
    for partition in range(20):
        send(producer, topic, b"kept", partition=partition)
    assert read(shared_node, topic, partitions=20) == []
    producer.commit_transaction(30)
    producer.begin_transaction()
    for partition in range(20):
        send(producer, topic, b"dropped", partition=partition)
    producer.abort_transaction(30)
    assert read_in_time(shared_node, topic, [b"kept"] * 20, 20) == [b"kept"] * 20


def test_a_reader_waits_for_the_end(shared_node):
    topic = shared_node.create_topic("waits")
    open_one = producer_of(shared_node, "waits-open")
    open_one.begin_transaction()
    send(open_one, topic, b"open")
    other = producer_of(shared_node, "waits-other")
    other.begin_transaction()
    send(other, topic, b"committed")
    other.commit_transaction(30)
    assert read(shared_node, topic) == []
    assert read(shared_node, topic, "read_uncommitted") == [b"open", b"committed"]
    open_one.abort_transaction(30)
    assert read_in_time(shared_node, topic, [b"committed"]) == [b"committed"]


def test_fencing(shared_node):
    topic = shared_node.create_topic("fencing")
    old = producer_of(shared_node, "fencing")
    old.begin_transaction()
    send(old, topic, b"of the old one")
    new = producer_of(shared_node, "fencing")
    new.begin_transaction()
    send(new, topic, b"of the new one")
    new.commit_transaction(30)
    with pytest.raises(KafkaException) as failure:
        old.commit_transaction(30)
    assert failure.value.args[0].code() == KafkaError._FENCED
    assert failure.value.args[0].fatal()
    assert read_in_time(shared_node, topic, [b"of the new one"]) == [b"of the new one"]


def test_consume_transform_produce(shared_node):
    source = shared_node.create_topic("ctp-in")
    target = shared_node.create_topic("ctp-out")
    plain = Producer({"bootstrap.servers": shared_node.bootstrap})
    send(plain, source, *[b"%d" % n for n in range(100)])
    settings = {"bootstrap.servers": shared_node.bootstrap, "group.id": "ctp",
                "auto.offset.reset": "earliest", "enable.auto.commit": False}
    producer = producer_of(shared_node, "ctp")

    def work(until, end):
        """Copies in transactions of ten, the last of which ends so; returns how far it came."""
        consumer = Consumer(settings)
        consumer.subscribe([source])
        done = None
        while done is None or done < until:
            messages = consumer.consume(10, 1)
            if not messages:
                continue
            producer.begin_transaction()
            for message in messages:
                assert message.error() is None
                producer.produce(target, b"x" + message.value(), partition=0)
            done = messages[-1].offset() + 1
            producer.send_offsets_to_transaction([TopicPartition(source, 0, done)],
                                                 consumer.consumer_group_metadata(), 30)
            (end if done >= until else producer.commit_transaction)(30)
        consumer.close()
        return done

    # The last transaction is aborted: its offsets are, too, and it is done again.
    assert work(50, producer.abort_transaction) >= 50
    admin = AdminClient({"bootstrap.servers": shared_node.bootstrap})
    asked = [ConsumerGroupTopicPartitions("ctp", [TopicPartition(source, 0)])]
    answer = admin.list_consumer_group_offsets(asked)["ctp"].result().topic_partitions[0]
    assert answer.offset < 50
    work(100, producer.commit_transaction)
    moved = [b"x%d" % n for n in range(100)]
    assert read_in_time(shared_node, target, moved) == moved


def test_a_transaction_times_out(make_node):
    node = make_node(
        transaction__abort__timed__out__transaction__cleanup__interval__ms=200).start()
    topic = node.create_topic("times-out")
    producer = producer_of(node, "times-out", 5000)
    producer.begin_transaction()
    send(producer, topic, b"too late")
    plain = Producer({"bootstrap.servers": node.bootstrap})
    send(plain, topic, b"behind it")
    assert read(node, topic) == []
    time.sleep(5.5)
    assert read(node, topic) == [b"behind it"]
    with pytest.raises(KafkaException):
        producer.commit_transaction(30)
    assert read(node, topic) == [b"behind it"]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_transaction_outlives_the_node(make_node, end):
    node = make_node().start()
    both = [b"after", b"before"]
    topic = node.create_topic("outlives", 2)
    producer = producer_of(node, "outlives")
    producer.begin_transaction()
    send(producer, topic, b"before", partition=0)
    getattr(node, end)()
    node.start()
    assert read(node, topic, partitions=2) == []
    send(producer, topic, b"after", partition=1)
    producer.commit_transaction(60)
    assert sorted(read_in_time(node, topic, both, 2)) == both
    # And what was ended stays so.
    getattr(node, end)()
    node.start()
    assert sorted(read_in_time(node, topic, both, 2)) == both
    producer.begin_transaction()
    send(producer, topic, b"dropped", partition=1)
    producer.abort_transaction(60)
    assert sorted(read_in_time(node, topic, both, 2)) == both


def test_deleted_topic(shared_node):
    kept = shared_node.create_topic("kept")
    gone = shared_node.create_topic("gone")
    producer = producer_of(shared_node, "deleted-topic")
    producer.begin_transaction()
    send(producer, kept, b"kept")
    send(producer, gone, b"gone")
    shared_node.rpc("DeleteTopics:6", {"topics": [{"name": gone}], "timeoutMs": 30000})
    producer.commit_transaction(30)
    assert read_in_time(shared_node, kept, [b"kept"]) == [b"kept"]
    states = shared_node.rpc("DescribeTransactions:0", {"transactionalIds": ["deleted-topic"]})
    for _ in range(100):
        states = shared_node.rpc("DescribeTransactions:0", {"transactionalIds": ["deleted-topic"]})
        if states["transactionStates"][0]["transactionState"] == "CompleteCommit":
            return
        time.sleep(0.05)
    pytest.fail(str(states))
