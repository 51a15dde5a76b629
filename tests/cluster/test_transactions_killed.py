"""Jobs that consume, transform and produce in transactions, while they and their node are killed
again and again: in the end every record was moved exactly once, and nothing is left open."""
import os
import random
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

import transaction_worker as job

RECORDS, WORKERS, SECONDS = 3000, 3, 30
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transaction_worker.py")


class Jobs:
    """Workers, each started again when it has ended."""

    def __init__(self, node, log):
        self.node, self.log, self.starts = node, log, 0
        self.running = [None] * WORKERS

    def keep_up(self):
        for number, process in enumerate(self.running):
            if process is None or process.poll() is not None:
                self.starts += 1
                self.running[number] = subprocess.Popen(
                    [sys.executable, WORKER, self.node.bootstrap, f"job-{number}",
                     str(self.starts)], stdout=self.log, stderr=self.log)

    def kill(self, number):
        self.running[number].kill()
        self.running[number].wait()

    def end(self):
        for number, process in enumerate(self.running):
            if process is not None:
                self.kill(number)


def read(node, isolation):
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "auditor",
                         "isolation.level": isolation, "enable.auto.commit": False,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(job.TARGET, partition, 0) for partition in range(3)])
    values, ended = [], set()
    deadline = time.monotonic() + 60
    while len(ended) < 3:
        assert time.monotonic() < deadline
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            values.append(int(message.value()))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
    consumer.close()
    return values


def offsets(node, isolation_level):
    asked = {"replicaId": -1, "isolationLevel": isolation_level, "topics": [
        {"name": job.TARGET,
         "partitions": [{"partitionIndex": each, "timestamp": -1} for each in range(3)]}]}
    topic = node.rpc("ListOffsets:7", asked)["topics"][0]
    return sorted((each["partitionIndex"], each["offset"]) for each in topic["partitions"])


def moved(node):
    """How far the group has come, over all partitions."""
    asked = {"requireStable": False, "groups": [{"groupId": job.GROUP, "topics": None}]}
    group = node.rpc("OffsetFetch:9", asked)["groups"][0]
    return sum(each["committedOffset"] for topic in group["topics"] or []
               for each in topic["partitions"]) if group["errorCode"] == 0 else -1


@pytest.mark.timeout(240)
def test_every_record_is_moved_once(make_node, tmp_path):
    rng = random.Random(7)
    node = make_node(transaction__abort__timed__out__transaction__cleanup__interval__ms=500,
                     group__initial__rebalance__delay__ms=0).start()
    node.create_topic(job.SOURCE, 4)
    node.create_topic(job.TARGET, 3)
    plain = Producer({"bootstrap.servers": node.bootstrap})
    for number in range(RECORDS):
        plain.produce(job.SOURCE, str(number).encode(), partition=number % 4)
    assert plain.flush(30) == 0
    kills = 0
    with open(tmp_path / "workers.log", "w") as log:
        jobs = Jobs(node, log)
        try:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                jobs.keep_up()
                time.sleep(rng.uniform(0.3, 1.5))
                if rng.random() < 0.4:
                    node.kill()
                    time.sleep(rng.uniform(0, 0.5))
                    node.start()
                else:
                    jobs.kill(rng.randrange(WORKERS))
                kills += 1
            deadline = time.monotonic() + 90
            while moved(node) < RECORDS:
                assert time.monotonic() < deadline, moved(node)
                jobs.keep_up()
                time.sleep(0.5)
        finally:
            jobs.end()
    assert kills > 10
    deadline = time.monotonic() + 20  # the last timeout, and the next check
    while offsets(node, 1) != offsets(node, 0):
        assert time.monotonic() < deadline, (offsets(node, 1), offsets(node, 0))
        time.sleep(0.2)
    assert sorted(read(node, "read_committed")) == list(range(RECORDS))
