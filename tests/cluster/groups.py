"""A group under test: its members, what is written for it to read, and what must hold in the end."""
import collections
import os
import threading
import time

from confluent_kafka import Producer

from members import Member

QUICK = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 500}


class Writer:
    """Writes numbers to all partitions, one after the other, until it is stopped."""

    def __init__(self, node, topic, partitions, per_second=300):
        self.delivered, self.failed = set(), []
        self.producer = Producer({"bootstrap.servers": node.bootstrap, "enable.idempotence": True,
                                  "linger.ms": 5, "log_level": 0})
        self.topic, self.partitions, self.pause_s = topic, partitions, 1 / per_second
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def note(self, error, message):
        if error is None:
            self.delivered.add(message.value().decode())
        else:
            self.failed.append(str(error))

    def run(self):
        number = 0
        while not self.stopping:
            self.producer.produce(self.topic, str(number), partition=number % self.partitions,
                                  on_delivery=self.note)
            self.producer.poll(0)
            number += 1
            time.sleep(self.pause_s)

    def stop(self):
        self.stopping = True
        self.thread.join()
        assert self.producer.flush(60) == 0
        assert not self.failed, self.failed[:3]


class Group:
    def __init__(self, node, name, partitions, folder, **settings):
        self.node, self.name, self.partitions, self.folder = node, name, partitions, str(folder)
        self.settings = {**QUICK, **settings}
        self.topic = node.create_topic(f"{name}-topic", partitions)
        self.subscribed = self.topic  # or an expression, from ^ to $
        self.events, self.members, self.seen = [], [], []
        self.writer = Writer(node, self.topic, partitions)
        self.stopping = False
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def member(self, client, name=None, **settings):
        name = name or f"{client}-{len(self.members)}"
        member = Member(self.events, name, client, self.node, self.name, self.subscribed,
                        os.path.join(self.folder, f"{self.name}-{name}.log"),
                        **{**self.settings, **settings})
        self.members.append(member)
        return member

    # --- what the coordinator says ---

    def committed(self):
        """Offsets by partition; None when nobody answers."""
        run = self.node.rpc("OffsetFetch:8", {"groups": [{"groupId": self.name, "topics": [
            {"name": self.topic, "partitionIndexes": list(range(self.partitions))}]}]}, check=False)
        if not isinstance(run, dict):
            return None
        group = run["groups"][0]
        if group["errorCode"] != 0:
            return None
        return {partition["partitionIndex"]: partition["committedOffset"]
                for partition in group["topics"][0]["partitions"]}

    def watch(self):
        while not self.stopping:
            asked = time.monotonic()
            offsets = self.committed()
            if offsets is not None:
                self.seen.append((asked, time.monotonic(), offsets))
            time.sleep(0.2)

    def describe(self):
        answer = self.node.rpc("DescribeGroups:5", {"groups": [self.name]}, check=False)
        return answer["groups"][0] if isinstance(answer, dict) else None

    def wait_for_state(self, *states, timeout=20):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            group = self.describe()
            if group is not None and group["groupState"] in states:
                return group
        raise AssertionError(f"{self.name} is {group}, not {states}")

    # --- waiting ---

    def wait_shared(self, *members, timeout=60):
        """Until these members, and they alone, share all partitions evenly."""
        def shared():
            taken = [partition for member in members for partition in member.mine]
            sizes = [len(member.mine) for member in members]
            return (sorted(taken) == list(range(self.partitions))
                    and max(sizes) - min(sizes) <= 1)

        deadline = time.monotonic() + timeout
        while not shared():
            gone = [member.name for member in members if member.process.poll() is not None]
            if time.monotonic() > deadline or gone:
                shares = {member.name: sorted(member.mine) for member in members}
                raise AssertionError(f"not shared: {shares}, gone: {gone}, group: "
                                     f"{self.describe()}, last events: {self.events[-20:]}")
            time.sleep(0.02)

    def wait_reading(self, member, timeout=60):
        """Until it reads all that it has. Java's poll fails for good when a member falls silent before it
        knows where to begin: the group does not know it any more when it asks for the offsets."""
        begin = len(self.events)
        deadline = time.monotonic() + timeout
        while not member.mine <= {int(event.words[0]) for event in self.events[begin:]
                                  if event.member is member and event.kind == "read"}:
            assert time.monotonic() < deadline, f"{member.name} does not read {member.mine}"
            time.sleep(0.02)

    def wait_all_read(self, timeout=60):
        deadline = time.monotonic() + timeout
        while not self.writer.delivered <= self.values():
            assert time.monotonic() < deadline, f"not read: {self.missing()}"
            time.sleep(0.1)

    def values(self):
        return {event.words[2] for event in list(self.events) if event.kind == "read"}

    def missing(self):
        return sorted(map(int, self.writer.delivered - self.values()))[:20]

    def live(self, client, timeout=60):
        """Three members of one kind: they come, go, stall and are killed. `timeout`: within which
        others must have the partitions of one that says nothing."""
        first = self.member(client)
        self.wait_shared(first)
        second = self.member(client)
        self.wait_shared(first, second)
        third = self.member(client)
        self.wait_shared(first, second, third)
        second.stop()
        self.wait_shared(first, third)
        self.wait_reading(third)
        third.stall()
        self.wait_shared(first, timeout=timeout)
        third.go_on()
        self.wait_shared(first, third)
        first.kill()
        self.wait_shared(third, timeout=timeout)
        self.finish(third)

    # --- the end ---

    def finish(self, *members):
        """Everything is read, these leave, and all that was promised held."""
        self.writer.stop()
        self.wait_all_read()
        for member in members:
            member.stop()
            assert member.last(1)[0].kind == "stopped", member.last()
        self.stopping = True
        self.watcher.join()
        self.check_reads()
        self.check_commits()

    def abandon(self):
        """Ends what still runs, after a failure too."""
        self.stopping = self.writer.stopping = True
        for member in self.members:
            if member.process.poll() is None:
                member.go_on()
                member.kill()

    def check_reads(self):
        """Who gets a partition begins at, or after, what was committed before; and then misses
        nothing."""
        acknowledged = collections.defaultdict(int)
        expected, floor = {}, {}
        for event in list(self.events):
            if event.kind == "assigned":
                for partition in event.partitions:
                    expected.pop((event.member, partition), None)
                    floor[event.member, partition] = acknowledged[partition]
            elif event.kind == "committed":
                partition, offset = event.partitions
                acknowledged[partition] = max(acknowledged[partition], offset)
            elif event.kind == "read":
                partition, offset = map(int, event.words[:2])
                key = event.member, partition
                if key in expected:
                    assert offset == expected[key], f"{event}: {expected[key]} was next"
                else:
                    assert offset >= floor[key], f"{event}: {floor[key]} was committed"
                expected[key] = offset + 1

    def check_commits(self):
        """What the coordinator says was committed never goes back, and has what it acknowledged."""
        assert self.seen
        acknowledged = [(event.when, *event.partitions) for event in self.events
                        if event.kind == "committed"]
        before = dict.fromkeys(range(self.partitions), -1)
        place = 0
        for asked, _, offsets in self.seen:
            while place < len(acknowledged) and acknowledged[place][0] < asked:
                _, partition, offset = acknowledged[place]
                before[partition] = max(before[partition], offset)
                place += 1
            for partition, offset in offsets.items():
                assert offset >= before[partition], \
                    f"partition {partition} is at {offset}, after {before[partition]}"
                before[partition] = offset
