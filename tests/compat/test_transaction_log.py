"""The log of the transaction coordinators: Apache Kafka and Ottla write the same records, and each
goes on with what the other has left."""
import os
import re
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "transcripts"))

from kafka_node import KAFKA, KafkaNode, in_turns  # noqa: E402
from node import Node  # noqa: E402

SETTINGS = {"transaction.state.log.num.partitions": "2", "transaction.state.log.min.isr": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200"}


@pytest.fixture
def nodes(tmp_path):
    with in_turns(tmp_path, SETTINGS) as both:
        yield both


def producer_of(node, transactional_id, **settings):
    producer = Producer({"bootstrap.servers": node.bootstrap, "linger.ms": 0,
                         "transactional.id": transactional_id, **settings})
    producer.init_transactions(60)
    return producer


def send(producer, topic, value):
    producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


def described(node, transactional_id, prepared=False):
    """Once its last transaction has ended."""
    asked = {"transactionalIds": [transactional_id]}
    deadline = time.monotonic() + 30
    while True:
        state = node.rpc("DescribeTransactions:0", asked)["transactionStates"][0]
        if state["errorCode"] == 0 and not state["transactionState"].startswith("Prepare"):
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.1)


def dump(folder):
    """The log, as Kafka's tool shows it, without what is another in each run."""
    lines = []
    for partition in range(2):
        log = os.path.join(folder, f"__transaction_state-{partition}", f"{0:020d}.log")
        run = subprocess.run([KAFKA, "tool", "org.apache.kafka.tools.DumpLogSegments", "--files",
                              log, "--transaction-log-decoder"],
                             capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
        for line in run.stdout.splitlines():
            if line.startswith("| offset:"):
                shown = line[line.index("payload") if "payload" in line else 0:]
                lines.append(re.sub(r"(?i)(timestamp(?:ms)?\"?[=:] ?)[0-9]+", r"\1*", shown))
    return lines


@pytest.mark.parametrize("first", ["kafka", "ottla"])
@pytest.mark.timeout(300)
def test_what_is_left_goes_on(nodes, first):
    ottla, kafka = nodes
    begins, ends = (kafka, ottla) if first == "kafka" else (ottla, kafka)
    begins.start()
    topic = begins.create_topic("t")
    done, left = producer_of(begins, "done"), producer_of(begins, "left")
    late = producer_of(begins, "late", **{"transaction.timeout.ms": 1000})
    for end in (done.commit_transaction, done.abort_transaction):
        done.begin_transaction()
        send(done, topic, b"x")
        end(30)
    for producer in (left, late):
        producer.begin_transaction()
        send(producer, topic, b"x")
    before = {name: described(begins, name) for name in ("done", "left")}
    begins.stop()

    ends.start()
    assert {name: described(ends, name) for name in ("done", "left")} == before
    left.commit_transaction(60)
    time.sleep(2)
    assert described(ends, "late")["transactionState"] == "CompleteAbort"
    done.begin_transaction()
    send(done, topic, b"x")
    done.commit_transaction(60)
    after = {name: described(ends, name) for name in ("done", "left", "late")}
    ends.stop()

    begins.start()
    assert {name: described(begins, name) for name in ("done", "left", "late")} == after


@pytest.mark.timeout(300)
def test_the_same_records(tmp_path):
    logs = []
    for kind in (KafkaNode, Node):
        folder = tmp_path / kind.__name__
        node = kind(folder)
        node.settings.update(SETTINGS)
        node.start()
        topic = node.create_topic("t")
        producer = producer_of(node, "a")
        for end in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            send(producer, topic, b"x")
            end(30)
            described(node, "a")
        producer.begin_transaction()
        send(producer, topic, b"x")
        producer_of(node, "a")
        described(node, "a")
        node.stop()
        logs.append(dump(node.settings["log.dirs"]))
    assert logs[0]
    assert logs[1] == logs[0]
