"""Transactional programs in four client libraries, and what must hold of what they wrote.

    … transfer TOPIC PARTITIONS NAME [SETTING=VALUE...]

Transfers between accounts, which are the partitions: each is a transaction of two records, NAME/NUMBER
-AMOUNT and NAME/NUMBER AMOUNT in different partitions. Each fifth is aborted on purpose, others when they
cannot be committed. Prints `committed NUMBER` or `aborted NUMBER` when the cluster has said so.

    … copy FROM TO [SETTING=VALUE...]

A member of a group that writes what it reads, in capitals, together with its offsets.

Both end when their standard input does, and fail when a transaction can be neither committed nor aborted.
"""
import collections
import os
import signal
import subprocess
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, TopicPartition

import builds
from members import HERE, OTTLA, SMALL_JVM

BUILD = os.path.dirname(OTTLA)
CLIENTS = ["libottla", "librdkafka", "java", "franz-go"]
ABORTED_EACH = 5
READ_COMMITTED, LATEST = 1, -1


def command(client):
    if client == "libottla":
        return [os.path.join(BUILD, "tests", "client", "transfer_tool")]
    if client == "librdkafka":
        return [sys.executable, os.path.join(HERE, "exactly_once_librdkafka.py")]
    if client == "franz-go":
        return builds.go("go-exactly-once", "./exactlyonce")
    return builds.java("ottla.ExactlyOnce", *SMALL_JVM)


def wait_for(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what()}" if callable(what) else what
        time.sleep(0.05)
    return found


class Program:
    """One that is started again under its transactional.id when it was killed."""

    def __init__(self, node, client, name, folder):
        self.node, self.client, self.name = node, client, name
        self.log_path = os.path.join(folder, f"{name}.log")
        self.starts = 0
        self.process = None

    ends_with_node = False  # it is killed whenever the node is

    def arguments(self):
        raise NotImplementedError

    def heard(self, line):
        """A line that it printed."""

    def start(self):
        self.starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.arguments(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, "OTTLA_TEST_BOOTSTRAP": self.node.bootstrap})
        self.reader = threading.Thread(target=self.read, args=(self.process,), daemon=True)
        self.reader.start()
        return self

    def read(self, process):
        for line in process.stdout:
            if line.endswith("\n"):  # else it was killed while it wrote that
                self.heard(line)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-4000:]

    def last_word(self):
        return (self.log().splitlines() or [""])[-1]

    def check(self):
        assert self.process.poll() is None, f"{self.name} has ended:\n{self.log()}"
        return True

    def kill(self):
        self.check()
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def stop(self, timeout=60):
        self.check()
        self.process.stdin.close()
        assert self.process.wait(timeout) == 0, f"{self.name}:\n{self.log()}"
        self.reader.join()

    def abandon(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()


class Teller(Program):
    def __init__(self, node, client, topic, partitions, folder):
        super().__init__(node, client, f"{topic}-{client}", folder)
        self.topic, self.partitions = topic, partitions
        self.committed, self.aborted = set(), set()

    def arguments(self):
        return [*command(self.client), "transfer", self.topic, str(self.partitions),
                f"{self.name}.{self.starts}", f"bootstrap.servers={self.node.bootstrap}",
                f"transactional.id={self.name}"]

    def heard(self, line):
        how, number = line.split()
        {"committed": self.committed, "aborted": self.aborted}[how].add(
            f"{self.name}.{self.starts}/{number}")

    def goes_on(self, more=5):
        """What to wait for: it has committed more than up to now."""
        enough = len(self.committed) + more
        return lambda: self.check() and len(self.committed) >= enough


class Copier(Program):
    def __init__(self, node, client, source, target, folder):
        super().__init__(node, client, f"{target}-{client}", folder)
        self.source, self.target = source, target
        self.settings = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500,
                         "partition.assignment.strategy": "range"}

    @property
    def ends_with_node(self):
        """librdkafka's send_offsets_to_transaction may wait without end when the connection to the
        transaction's coordinator breaks in it: after AddOffsetsToTxn's answer it sends nothing more."""
        return self.client == "librdkafka"

    def check(self):
        """franz-go's session gives up, for good, when a node is away for longer than the group's
        session; a supervisor would start it again."""
        ended = self.process.poll() is not None
        if ended and self.client == "franz-go" and self.last_word().startswith("unable to dial"):
            self.reader.join()
            self.start()
        return super().check()

    def arguments(self):
        group = f"{self.target}-group"
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        if self.client == "libottla":  # the example for users does it
            return [os.path.join(BUILD, "examples", "example_transform"), self.node.bootstrap,
                    self.name, group, self.source, self.target, *settings]
        return [*command(self.client), "copy", self.source, self.target,
                f"bootstrap.servers={self.node.bootstrap}", f"transactional.id={self.name}",
                f"group.id={group}", *settings]

    def stop(self, timeout=60):
        if self.client == "libottla":
            self.check()
            self.process.send_signal(signal.SIGTERM)
        super().stop(timeout)


# --- what is read ---

class Reader:
    """All committed records of a topic, as they come: (partition, offset, value)."""

    def __init__(self, node, topic, partitions):
        self.records, self.values = [], set()
        self.stopping = False
        self.consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "nobody",
                                  "isolation.level": "read_committed", "enable.auto.commit": False,
                                  "check.crcs": True, "log_level": 0})
        self.consumer.assign([TopicPartition(topic, partition, 0)
                              for partition in range(partitions)])
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            for message in self.consumer.consume(1000, 0.1):
                if message.error() is None:
                    value = message.value().decode()
                    self.records.append((message.partition(), message.offset(), value))
                    self.values.add(value)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.consumer.close()


def ends(node, topic, partitions, isolation):
    answer = node.rpc("ListOffsets:7", {"replicaId": -1, "isolationLevel": isolation, "topics": [
        {"name": topic, "partitions": [{"partitionIndex": partition, "timestamp": LATEST}
                                       for partition in range(partitions)]}]})
    return sorted((partition["partitionIndex"], partition["offset"])
                  for partition in answer["topics"][0]["partitions"])


def wait_ended(node, topic, partitions, timeout=15):
    """Until no transaction keeps readers of committed records from the end of a partition."""
    wait_for(lambda: ends(node, topic, partitions, READ_COMMITTED) == ends(node, topic, partitions, 0),
             lambda: f"readers are held: {ends(node, topic, partitions, READ_COMMITTED)} of "
                     f"{ends(node, topic, partitions, 0)}", timeout)


def read_with_librdkafka(node, topic, partitions):
    consumer = Consumer({"bootstrap.servers": node.bootstrap, "group.id": "nobody",
                         "isolation.level": "read_committed", "enable.auto.commit": False,
                         "enable.partition.eof": True, "check.crcs": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    records, ended, deadline = [], set(), time.monotonic() + 60
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"the ends of {topic} do not come, only {ended}"
        for message in consumer.consume(10000, 0.5):
            if message.error() is None:
                records.append((message.partition(), message.offset(), message.value().decode()))
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
    consumer.close()
    return sorted(records)


def read_with_libottla(node, topic, partitions):
    run = subprocess.run([os.path.join(BUILD, "tests", "client", "consumer_tool"), topic,
                          str(partitions), "isolation.level=read_committed", "check.crcs=true"],
                         capture_output=True, text=True, timeout=120,
                         env={**os.environ, "OTTLA_TEST_BOOTSTRAP": node.bootstrap})
    assert run.returncode == 0, run.stderr
    lines = [line.split("|") for line in run.stdout.splitlines()]
    return sorted((int(line[0]), int(line[1]), line[4]) for line in lines)


# --- what must hold ---

def check_transfers(records, committed, aborted):
    """Each transfer is there whole or not at all, and as its writer was told."""
    found = collections.defaultdict(list)
    for partition, _, value in records:
        name, amount = value.split()
        found[name].append((partition, int(amount)))
    broken = {name: halves for name, halves in found.items()
              if len(halves) != 2 or halves[0][0] == halves[1][0]
              or halves[0][1] + halves[1][1] != 0}
    assert not broken, f"not whole, or doubled: {list(broken.items())[:5]}"
    assert not committed - set(found), f"lost: {sorted(committed - set(found))[:5]}"
    assert not aborted & set(found), f"aborted, but read: {sorted(aborted & set(found))[:5]}"
    on_purpose = [name for name in found if int(name.split("/")[1]) % ABORTED_EACH == 0]
    assert not on_purpose, f"never committed, but read: {on_purpose[:5]}"
