#!/usr/bin/env python3
"""`make bench`: Ottla and Apache Kafka in turn on this machine, the same client, the same load.

Per round (A B A B ...): produce and read back a topic of 1 KiB records through librdkafka, and take
the CPU seconds of the broker's process from /proc. Besides: time from start to the first
acknowledged record on an empty data directory, resident memory and CPU when idle. Readers check
count and checksum of what they get. Prints a table of medians and ratios, and JSON with -o json.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from node import Node, free_ports  # noqa: E402

PARTITIONS = 4
RECORD_SIZE = 1024
CLOCK = os.sysconf("SC_CLK_TCK")
GIB = 1 << 30


class Ottla:
    name = "ottla"

    def __init__(self, folder):
        self.node = Node(os.path.join(folder, "ottla"))
        self.bootstrap = self.node.bootstrap

    def start(self):
        self.node.launch()

    def pid(self):
        return self.node.process.pid

    def stop(self):
        self.node.stop()


class Kafka:
    name = "kafka"

    def __init__(self, folder):
        self.port = free_ports(2)[0]
        self.environment = {**os.environ, "KAFKA_TEST_HOME": os.path.join(folder, "kafka"),
                            "KAFKA_TEST_PORT": str(self.port)}
        self.bootstrap = f"127.0.0.1:{self.port}"

    def run(self, *arguments):
        return subprocess.run([os.path.join(ROOT, "tests", "kafka", "kafka"), *arguments],
                              env=self.environment, check=True, capture_output=True, text=True)

    def start(self):
        self.run("start", "1")

    def pid(self):
        with open(os.path.join(self.environment["KAFKA_TEST_HOME"], "node1", "pid")) as file:
            return int(file.read())

    def stop(self):
        self.run("stop")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def create_topic(bootstrap, name):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(60)


def produce(bootstrap, topic, count):
    """Returns the checksum of all values, in no order."""
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5,
                         "batch.size": 1000000, "queue.buffering.max.messages": 200000,
                         "queue.buffering.max.kbytes": 1048576})
    failed = []

    def delivered(error, _message):
        if error is not None:
            failed.append(error)

    seed = os.urandom(RECORD_SIZE - 16)
    total = 0
    for number in range(count):
        value = b"%016d" % number + seed
        total ^= zlib.crc32(value)
        while True:
            try:
                producer.produce(topic, value, partition=number % PARTITIONS,
                                 on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    if failed:
        raise RuntimeError(f"{len(failed)} records were not delivered: {failed[0]}")
    return total


def consume(bootstrap, topic, count):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 50,
                         "queued.min.messages": 100000})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    total = got = 0
    deadline = time.monotonic() + 300
    while got < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"read {got} of {count} records")
        for message in consumer.consume(10000, 1.0):
            if message.error():
                raise RuntimeError(str(message.error()))
            total ^= zlib.crc32(message.value())
            got += 1
    consumer.close()
    return total


def measure_load(broker, topic, count):
    gib = count * RECORD_SIZE / GIB
    create_topic(broker.bootstrap, topic)
    before = cpu_seconds(broker.pid())
    started = time.monotonic()
    written = produce(broker.bootstrap, topic, count)
    produced = cpu_seconds(broker.pid())
    produce_s = time.monotonic() - started
    started = time.monotonic()
    read = consume(broker.bootstrap, topic, count)
    consumed = cpu_seconds(broker.pid())
    if written != read:
        raise RuntimeError(f"{broker.name}: what was read is not what was written")
    return {"produce_cpu_s_per_gib": (produced - before) / gib,
            "consume_cpu_s_per_gib": (consumed - produced) / gib,
            "produce_mib_s": gib * 1024 / produce_s,
            "consume_mib_s": gib * 1024 / (time.monotonic() - started),
            "resident_mib_after_load": resident_mib(broker.pid())}


def first_record_s(bootstrap):
    """Seconds until a record is acknowledged, from now, with a client that does not wait."""
    from confluent_kafka import Producer
    started = time.monotonic()
    producer = Producer({"bootstrap.servers": bootstrap, "reconnect.backoff.ms": 1,
                         "reconnect.backoff.max.ms": 5, "retry.backoff.ms": 1, "linger.ms": 0,
                         "topic.metadata.refresh.fast.interval.ms": 5,
                         "topic.metadata.propagation.max.ms": 60000, "log_level": 0})
    done = []
    producer.produce("first", b"record", on_delivery=lambda error, _: done.append(error))
    while not done:
        producer.poll(0.001)
    if done[0] is not None:
        raise RuntimeError(str(done[0]))
    return time.monotonic() - started


def measure_start(make, folder):
    """On an empty, formatted directory; format and process start included."""
    broker = make(folder)
    started = time.monotonic()
    broker.start()
    launched = time.monotonic() - started if broker.name == "kafka" else 0.0
    if broker.name == "kafka":
        # The starter waits for the port; what counts is the whole way.
        result = launched + first_record_s(broker.bootstrap)
    else:
        result = first_record_s(broker.bootstrap)
    time.sleep(3)
    pid = broker.pid()
    before = cpu_seconds(pid)
    time.sleep(10)
    idle = {"start_to_first_record_s": result,
            "idle_resident_mib": resident_mib(pid),
            "idle_cpu_percent": (cpu_seconds(pid) - before) * 10}
    broker.stop()
    return idle


def median(values):
    return statistics.median(values)


ROWS = [
    ("produce_cpu_s_per_gib", "broker CPU s per GiB produced", True),
    ("consume_cpu_s_per_gib", "broker CPU s per GiB read", True),
    ("produce_mib_s", "MiB/s produced (client-bound)", False),
    ("consume_mib_s", "MiB/s read (client-bound)", False),
    ("resident_mib_after_load", "resident MiB after the load", True),
    ("start_to_first_record_s", "s from start to first acknowledged record", True),
    ("idle_resident_mib", "resident MiB idle", True),
    ("idle_cpu_percent", "CPU percent idle", True),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=512, help="MiB per round and broker")
    parser.add_argument("-o", dest="output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    count = arguments.mib * 1024 * 1024 // RECORD_SIZE
    folder = tempfile.mkdtemp(prefix="ottla-bench-")
    samples = {"ottla": {}, "kafka": {}}

    def note(name, values):
        for key, value in values.items():
            samples[name].setdefault(key, []).append(value)

    try:
        for make in (Ottla, Kafka):
            note(make.name, measure_start(make, tempfile.mkdtemp(dir=folder)))
        brokers = []
        for make in (Ottla, Kafka):
            broker = make(tempfile.mkdtemp(dir=folder))
            broker.start()
            first_record_s(broker.bootstrap)
            brokers.append(broker)
        for broker in brokers:  # warm both, uncounted
            measure_load(broker, "warm", count // 4)
        for number in range(arguments.rounds):
            for broker in brokers:
                note(broker.name, measure_load(broker, f"round-{number}", count))
        for broker in brokers:
            broker.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    if arguments.output == "json":
        print(json.dumps(samples, indent=2))
        return
    print(f"{'':<46}{'ottla':>12}{'kafka':>12}{'ratio':>9}   spread of ottla")
    for key, text, _ in ROWS:
        ours, theirs = samples["ottla"][key], samples["kafka"][key]
        ratio = median(ours) / median(theirs) if median(theirs) else float("nan")
        print(f"{text:<46}{median(ours):>12.3f}{median(theirs):>12.3f}{ratio:>9.3f}"
              f"   {min(ours):.3f} to {max(ours):.3f}")


if __name__ == "__main__":
    main()
