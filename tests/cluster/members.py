"""Members of consumer groups as processes of their own, in seven client libraries.

Each member reads a topic, commits after every poll what it has processed, and prints a line for each thing
that happens to it:

    assigned 0 2          partitions that it got; what it had before stays (cooperative) or was revoked
    revoked 0 2           they are taken back
    lost 0 2              they are somebody else's by now
    read 2 17 VALUE       partition, offset
    committed 2 18        the coordinator has acknowledged it
    uncommitted TEXT      it has not
    stopped               it has left; it does so when its standard input ends

    members.py kafka-python|librdkafka BOOTSTRAP GROUP TOPIC [SETTING=VALUE...]

The settings are named as in Java. So are those of ottla.Member (java/), go/member, node/member.js,
member_aiokafka.py and tests/client/group_member.c. For libottla, librdkafka, ottla.Member and go/member the
topic may be an expression, from ^ to $.
"""
import faulthandler
import os
import select
import subprocess
import sys
import threading
import time

import builds

HERE = os.path.dirname(os.path.abspath(__file__))
OTTLA = os.environ.get("OTTLA", os.path.join(HERE, "..", "..", "build", "ottla"))
SMALL_JVM = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
POLL_S = 0.1
SLOW_TO_LEAVE_S = 30


def command(client):
    """How to start a member of this client: libottla, kafka-python, librdkafka, aiokafka, java,
    franz-go or kafkajs."""
    if client in ("kafka-python", "librdkafka"):
        return [sys.executable, os.path.abspath(__file__), client]
    if client == "libottla":
        return [os.path.join(os.path.dirname(OTTLA), "tests", "client", "group_member")]
    if client == "aiokafka":
        return [sys.executable, os.path.join(HERE, "member_aiokafka.py")]
    if client == "java":
        return builds.java("ottla.Member", *SMALL_JVM)
    if client == "franz-go":
        return builds.go("go-member", "./member")
    assert client == "kafkajs", client
    return builds.node("member.js")


# --- a member seen from outside ---

class Event:
    def __init__(self, when, member, kind, words):
        self.when, self.member, self.kind, self.words = when, member, kind, words

    @property
    def partitions(self):
        return [int(word) for word in self.words]

    def __repr__(self):
        return f"{self.when:.3f} {self.member.name} {self.kind} {' '.join(self.words)}"


class Member:
    """A process in a group; its events go to `events`, which members share."""

    def __init__(self, events, name, client, node, group, topic, log, **settings):
        self.events, self.name, self.log = events, name, open(log, "ab")
        self.mine = set()
        self.changed = threading.Condition()
        arguments = [node.bootstrap, group, topic]
        arguments += [f"{key.replace('_', '.')}={value}" for key, value in settings.items()]
        self.process = subprocess.Popen([*command(client), *arguments], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # it was killed while it wrote that
            kind, *words = line.split()
            with self.changed:
                event = Event(time.monotonic(), self, kind, words)
                if kind == "assigned":
                    self.mine |= set(event.partitions)
                elif kind in ("revoked", "lost"):
                    self.mine -= set(event.partitions)
                elif kind == "stopped":
                    self.mine = set()
                self.events.append(event)
                self.changed.notify_all()

    def wait_until(self, condition, timeout=60, what="it"):
        """Until condition() holds; looked at whenever something happens to this member."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"{self.name}: {what} did not happen; it has "
                                         f"{sorted(self.mine)}, last: {self.last()}")
                self.changed.wait(min(left, 0.2))

    def last(self, count=10):
        return [event for event in list(self.events) if event.member is self][-count:]

    def stall(self):
        os.kill(self.process.pid, 19)  # SIGSTOP

    def go_on(self):
        os.kill(self.process.pid, 18)  # SIGCONT

    def kill(self):
        self.process.kill()
        self.end()

    def stop(self, timeout=60):
        """It leaves the group."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{self.name} does not end; it has {sorted(self.mine)}, last: "
                                     f"{self.last()}, and said:\n{self.said()}") from None
        self.end()

    def said(self, lines=60):
        """The end of what its library wrote."""
        with open(self.log.name, errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def end(self):
        self.process.wait()
        self.reader.join()
        self.log.close()


# --- the members in Python ---

def say(kind, *words):
    """In one piece: some libraries have threads that say things, too."""
    sys.stdout.write(" ".join(map(str, (kind, *words))) + "\n")
    sys.stdout.flush()


def say_partitions(kind, partitions):
    if partitions:
        say(kind, *sorted(partition.partition for partition in partitions))


def input_ended():
    """From then on it is to leave; where it is held up is told on standard error."""
    ended = bool(select.select([sys.stdin], [], [], 0)[0]) and sys.stdin.readline() == ""
    if ended:
        faulthandler.dump_traceback_later(SLOW_TO_LEAVE_S)
    return ended


def run_kafka_python(bootstrap, group, topic, settings):
    from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
    from kafka.errors import KafkaError

    assignors = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
                 "cooperative-sticky": CooperativeStickyAssignor}
    options = {}
    for key, value in settings.items():
        name = key.replace(".", "_")
        options[name] = int(value) if value.isdigit() else value
    strategy = options.pop("partition_assignment_strategy", "range").split(",")

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            say_partitions("assigned", assigned)

        def on_partitions_revoked(self, revoked):
            say_partitions("revoked", revoked)

        def on_partitions_lost(self, lost):
            say_partitions("lost", lost)

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False,
                             auto_offset_reset="earliest",
                             partition_assignment_strategy=[assignors[name] for name in strategy],
                             **options)
    consumer.subscribe([topic], listener=Listener())
    while not input_ended():
        done = {}
        for partition, records in consumer.poll(int(POLL_S * 1000)).items():
            for record in records:
                say("read", partition.partition, record.offset, record.value.decode())
            done[partition] = OffsetAndMetadata(records[-1].offset + 1, "", -1)
        if done:
            try:
                consumer.commit(done)
                for partition, offset in done.items():
                    say("committed", partition.partition, offset.offset)
            except KafkaError as error:
                say("uncommitted", repr(error))
    consumer.close()


def leave(consumer):
    """Closes one of librdkafka, which waits for ever when it is told to while the group takes its partitions
    back: it gives them back first, and hears of that."""
    consumer.unsubscribe()
    while True:
        consumer.consume(500, POLL_S)
        if not consumer.assignment():
            break
    consumer.close()


def run_librdkafka(bootstrap, group, topic, settings):
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group,
                         "enable.auto.commit": False, "auto.offset.reset": "earliest",
                         "debug": "cgrp", **settings})
    consumer.subscribe([topic], on_assign=lambda _, got: say_partitions("assigned", got),
                       on_revoke=lambda _, gone: say_partitions("revoked", gone),
                       on_lost=lambda _, gone: say_partitions("lost", gone))
    while not input_ended():
        done = {}
        for message in consumer.consume(500, POLL_S):
            if message.error() is None:
                say("read", message.partition(), message.offset(), message.value().decode())
                done[message.topic(), message.partition()] = message.offset() + 1
        if done:
            try:
                answer = consumer.commit(
                    offsets=[TopicPartition(*where, offset) for where, offset in done.items()],
                    asynchronous=False)
                for partition in answer:
                    if partition.error is None:
                        say("committed", partition.partition, partition.offset)
                    else:
                        say("uncommitted", partition.error)
            except KafkaException as error:
                say("uncommitted", error)
    leave(consumer)


def main():
    client, bootstrap, group, topic, *pairs = sys.argv[1:]
    run = {"kafka-python": run_kafka_python, "librdkafka": run_librdkafka}[client]
    run(bootstrap, group, topic, dict(pair.split("=", 1) for pair in pairs))
    faulthandler.cancel_dump_traceback_later()
    say("stopped")


if __name__ == "__main__":
    main()
