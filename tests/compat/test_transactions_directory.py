"""Transactions handed over between Apache Kafka and Ottla on one data directory, in both directions:
what one has begun the other knows, holds back from readers, and ends."""
import os
import sys
import time

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "transcripts"))

from kafka_node import in_turns  # noqa: E402

SETTINGS = {"offsets.topic.num.partitions": "2", "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "2",
            "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
            "log.flush.interval.messages": "1000000"}


@pytest.fixture
def nodes(tmp_path):
    with in_turns(tmp_path, SETTINGS) as both:
        yield both


# --- clients ---

def producer_of(node, name):
    producer = Producer({"bootstrap.servers": node.bootstrap, "transactional.id": name,
                         "transaction.timeout.ms": 600000})
    producer.init_transactions(60)
    return producer


def write(producer, topic, values, offset=None):
    """Records, and an offset of the group "g"."""
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0
    if offset is not None:
        group = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"})
        producer.send_offsets_to_transaction([TopicPartition(topic, 1, offset)],
                                             group.consumer_group_metadata(), 30)
        group.close()


def read(node, topic, isolation):
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "reader",
                         "isolation.level": isolation, "enable.auto.commit": False,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    deadline = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline, values
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            consumer.close()
            return values
        values.append(message.value().decode())


def wait_for(ask, good):
    """A coordinator may still be loading, or writing."""
    deadline = time.monotonic() + 30
    while True:
        answer = ask()
        if good(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)


def offset_of(node, topic):
    """Of the group, with the error of its partition."""
    asked = {"requireStable": True, "groups": [{"groupId": "g", "topics": [
        {"name": topic, "partitionIndexes": [1]}]}]}
    group = wait_for(lambda: node.rpc("OffsetFetch:9", asked)["groups"][0],
                     lambda group: group["errorCode"] == 0)
    partition = group["topics"][0]["partitions"][0]
    return partition["errorCode"], partition["committedOffset"]


def transaction(node, name):
    asked = {"transactionalIds": [name]}
    return wait_for(lambda: node.rpc("DescribeTransactions:0", asked)["transactionStates"][0],
                    lambda state: state["errorCode"] == 0 and
                    not state["transactionState"].startswith("Prepare"))


def told(node, topic, names):
    """All that a node says of its transactions."""
    states = {}
    for name in names:
        state = transaction(node, name)
        states[name] = (state["transactionState"], state["producerId"], state["producerEpoch"],
                        sorted((each["topic"], sorted(each["partitions"]))
                               for each in state["topics"]))
    partition = node.rpc("DescribeProducers:0", {"topics": [
        {"name": topic, "partitionIndexes": [0]}]})["topics"][0]["partitions"][0]
    producers = sorted((each["producerId"], each["producerEpoch"], each["lastSequence"],
                        each["coordinatorEpoch"], each["currentTxnStartOffset"])
                       for each in partition["activeProducers"])
    return states, producers, offset_of(node, topic), read(node, topic, "read_committed"), read(
        node, topic, "read_uncommitted")


def end(node, name, committed):
    state = transaction(node, name)
    assert state["transactionState"] == "Ongoing"
    answer = node.rpc("EndTxn:5", {"transactionalId": name, "producerId": state["producerId"],
                                   "producerEpoch": state["producerEpoch"],
                                   "committed": committed})
    assert answer["errorCode"] == 0, answer
    transaction(node, name)


def begin_all(node, topic, prefix):
    """Transactions that end, and two that stay open."""
    names = []
    for number, ends in enumerate(("commit", "abort", "commit", None, None)):
        name = f"{prefix}-{number}"
        producer = producer_of(node, name)
        write(producer, topic, [f"{name}-{n}" for n in range(3)],
              number if number in (2, 3) else None)
        if ends == "commit":
            producer.commit_transaction(30)
        elif ends == "abort":
            producer.abort_transaction(30)
        names.append(name)
    return names


def stop(node, how):
    if how == "kill":
        node.kill()
    else:
        assert node.stop(60) in (0, 143)


# --- the tests ---

@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_open_transactions_go_there_and_back(nodes, how):
    ottla, kafka = nodes
    ottla.start()
    topic = ottla.create_topic("orders", 2)
    ours = begin_all(ottla, topic, "ours")
    before = told(ottla, topic, ours)
    assert before[2] == (88, -1)  # UNSTABLE_OFFSET_COMMIT
    assert before[3] == [f"ours-{number}-{n}" for number in (0, 2) for n in range(3)]
    assert len(before[4]) == 15
    stop(ottla, how)

    kafka.start()
    assert told(kafka, topic, ours) == before
    end(kafka, "ours-3", True)
    end(kafka, "ours-4", False)
    assert offset_of(kafka, topic) == (0, 3)
    committed = before[3] + [f"ours-3-{n}" for n in range(3)]
    assert read(kafka, topic, "read_committed") == committed
    theirs = begin_all(kafka, topic, "theirs")
    between = told(kafka, topic, ours + theirs)
    stop(kafka, how)

    ottla.start()
    assert told(ottla, topic, ours + theirs) == between
    end(ottla, "theirs-4", True)
    end(ottla, "theirs-3", False)
    assert offset_of(ottla, topic) == (0, 2)
    committed += [f"theirs-{number}-{n}" for number in (0, 2, 4) for n in range(3)]
    assert read(ottla, topic, "read_committed") == committed
    stop(ottla, how)
    kafka.start()
    assert read(kafka, topic, "read_committed") == committed
    assert offset_of(kafka, topic) == (0, 2)
