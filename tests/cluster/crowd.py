"""Many members of a group in one process, as on one host, with librdkafka. Each line that members.py
describes has the number of its member before it.

    crowd.py MEMBERS BOOTSTRAP GROUP TOPIC [SETTING=VALUE...]
"""
import subprocess
import sys
import threading
import time

import members

CONSUME_S = 0.2


class Seat:
    """One member of a crowd; to a Group it is like a Member."""

    def __init__(self, crowd, number):
        self.crowd, self.name = crowd, f"{crowd.name}/{number}"
        self.mine = set()
        self.process, self.go_on, self.kill = crowd.process, crowd.go_on, crowd.kill

    def take(self, kind, words):
        event = members.Event(time.monotonic(), self, kind, words)
        if kind == "assigned":
            self.mine |= set(event.partitions)
        elif kind in ("revoked", "lost"):
            self.mine -= set(event.partitions)
        elif kind == "stopped":
            self.mine = set()
        return event


class Crowd:
    """A process full of members; its events go to those of the group."""

    def __init__(self, group, name, size):
        self.name, self.events = name, group.events
        settings = [f"{key.replace('_', '.')}={value}" for key, value in group.settings.items()]
        with open(f"{group.folder}/{name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(size), group.node.bootstrap, group.name, group.topic,
                 *settings], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.seats = [Seat(self, number) for number in range(size)]
        group.members += self.seats
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # it was killed while it wrote that
            number, kind, *words = line.split()
            self.events.append(self.seats[int(number)].take(kind, words))

    def stall(self):
        self.process.send_signal(19)  # SIGSTOP

    def go_on(self):
        self.process.send_signal(18)  # SIGCONT

    def kill(self):
        self.process.kill()
        self.end()

    def stop(self, timeout=60):
        """All leave the group."""
        self.process.stdin.close()
        self.process.wait(timeout)
        self.end()
        assert self.process.returncode == 0

    def end(self):
        self.process.wait()
        self.reader.join()


# --- the process ---

class Place:
    """A member, on a thread of its own."""

    writing = threading.Lock()

    def __init__(self, number, leaving, topic, options):
        self.number, self.leaving, self.topic = number, leaving, topic
        self.options = options
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def say(self, *words):
        with self.writing:
            members.say(self.number, *words)

    def say_partitions(self, kind, partitions):
        if partitions:
            self.say(kind, *sorted(partition.partition for partition in partitions))

    def run(self):
        from confluent_kafka import Consumer

        consumer = Consumer(self.options)
        consumer.subscribe([self.topic],
                           on_assign=lambda _, got: self.say_partitions("assigned", got),
                           on_revoke=lambda _, gone: self.say_partitions("revoked", gone),
                           on_lost=lambda _, gone: self.say_partitions("lost", gone))
        while not self.leaving.is_set():
            self.read(consumer)
        members.leave(consumer)
        self.say("stopped")

    def read(self, consumer):
        from confluent_kafka import KafkaException, TopicPartition

        done = {}
        for message in consumer.consume(500, CONSUME_S):
            if message.error() is None:
                self.say("read", message.partition(), message.offset(), message.value().decode())
                done[message.partition()] = message.offset() + 1
        if not done:
            return
        try:
            for partition in consumer.commit(asynchronous=False, offsets=[
                    TopicPartition(self.topic, *item) for item in done.items()]):
                if partition.error is None:
                    self.say("committed", partition.partition, partition.offset)
                else:
                    self.say("uncommitted", partition.error)
        except KafkaException as error:
            self.say("uncommitted", error)


def main():
    size, bootstrap, group, topic, *pairs = sys.argv[1:]
    options = {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
               "auto.offset.reset": "earliest", **dict(pair.split("=", 1) for pair in pairs)}
    leaving = threading.Event()
    places = [Place(number, leaving, topic, options) for number in range(int(size))]
    sys.stdin.read()
    leaving.set()
    for place in places:
        place.thread.join()


if __name__ == "__main__":
    main()
