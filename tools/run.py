#!/usr/bin/env python3
"""`make run`: one Ottla node on 127.0.0.1:9092 with its data under ./data, in the foreground.

The first run shows the main job on real input: every stanza of this machine's package index is
produced to a topic (key = package name) and read along by a group of two consumers; the node is
killed with SIGKILL in the middle and started again; and what was read is compared with what was
written. All figures printed are measured.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTTLA = os.path.join(ROOT, "build", "ottla")
DATA = os.path.join(ROOT, "data")
SHOWN = os.path.join(DATA, ".demo-shown")
LOG = os.path.join(DATA, "server.log")
LOG_SHOWN = "data/server.log"
HOST, PORT = "127.0.0.1", 9092
READY = "http://127.0.0.1:8092/ready"
TOPIC = "packages"
PARTITIONS = 4
KEY_END, RECORD_END = b"\x01", b"\x02"
READERS = 2
IDLE_S, STUCK_S, LEAVE_S = 0.3, 60, 10


PR_SET_PDEATHSIG = 1
prctl = ctypes.CDLL(None).prctl


def fail(message):
    print(message.rstrip("\n"), file=sys.stderr)
    sys.exit(1)


def end_with_parent():
    """In the child: it gets SIGTERM when this process is gone, however that came."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Node:
    """The server as a child process. It has a session of its own, so that Ctrl-C reaches it once,
    through here."""

    def __init__(self):
        self.process = None
        self.log_start = 0

    def start(self):
        """Starts it; returns the seconds until it answered a client."""
        taken = connects()  # then by another process: the server ends and says by which
        started = time.monotonic()
        with open(LOG, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen([OTTLA, "server"], cwd=ROOT, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True,
                                            preexec_fn=end_with_parent)
        while taken or not answers():
            self.check(started)
            time.sleep(0.0005)
        seconds = time.monotonic() - started
        while not is_ready():
            self.check(started)
            time.sleep(0.0005)
        return seconds

    def check(self, started):
        """Ends this process when the server has ended, or takes too long."""
        if self.process.poll() is not None:
            fail(self.errors() or f"The server ended at once; see {LOG_SHOWN}")
        if time.monotonic() - started > 60:
            fail(f"The server does not answer; see {LOG_SHOWN}")

    def errors(self):
        """The first errors that this start wrote, without time and level."""
        with open(LOG, "rb") as log:
            log.seek(self.log_start)
            text = log.read().decode(errors="replace")
        found = [line.split(" ERROR ", 1)[1] for line in text.splitlines() if " ERROR " in line]
        return "\n".join(found[:3])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """A controlled shutdown. A second Ctrl-C ends it at once; nothing is lost by that."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.wait()

    def wait(self):
        """Until it has ended; each Ctrl-C or SIGTERM is handed on. Returns the exit code."""
        while True:
            try:
                return self.process.wait()
            except (KeyboardInterrupt, Terminated):
                print("\nStopping.", flush=True)
                self.process.terminate()


class Terminated(BaseException):
    """SIGTERM or SIGHUP came."""


def terminated(*_):
    raise Terminated


def connects():
    try:
        socket.create_connection((HOST, PORT), timeout=5).close()
        return True
    except OSError:
        return False


def answers():
    """Whether the node answers an ApiVersions request."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((HOST, PORT), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def is_ready():
    try:
        with urllib.request.urlopen(READY, timeout=5) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def package_index():
    """The machine's package index as (name, stanza) pairs, in its order."""
    text = b""
    if shutil.which("apt-cache"):
        text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=False).stdout
    source = "apt-cache dumpavail"
    if len(text) < 100_000:
        source = "/var/lib/dpkg/status"
        with open(source, "rb") as status:
            text = status.read()
    stanzas = []
    for stanza in text.split(b"\n\n"):
        if stanza.startswith(b"Package: "):
            name = stanza[9:].split(b"\n", 1)[0].strip()
            stanzas.append((name, stanza.replace(KEY_END, b" ").replace(RECORD_END, b" ")))
    return source, stanzas


def rpc(api, body):
    run = subprocess.run([OTTLA, "rpc", f"{HOST}:{PORT}", api, json.dumps(body)],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        fail(run.stderr)
    return json.loads(run.stdout)


def create_topic():
    """Anew when it is there already, from a demonstration that was cut short."""
    rpc("DeleteTopics:5", {"topicNames": [TOPIC], "timeoutMs": 30000})
    answer = rpc("CreateTopics:7", {"timeoutMs": 30000, "topics": [
        {"name": TOPIC, "numPartitions": PARTITIONS, "replicationFactor": 1}]})
    if answer["topics"][0]["errorCode"] != 0:
        fail(f"The topic {TOPIC} could not be created: {answer['topics'][0]}")


def feed(producer, stanzas, half):
    """Writes the stanzas to kcat; sets `half` in the middle, or when kcat has ended."""
    try:
        for place, (name, stanza) in enumerate(stanzas):
            producer.stdin.write(name + KEY_END + stanza + RECORD_END)
            if place == len(stanzas) // 2:
                producer.stdin.flush()
                half.set()
        producer.stdin.close()
    except OSError:
        half.set()


def produce(node, stanzas):
    """Produces all stanzas with an idempotent producer; half-way the node is killed and comes
    back. Returns (seconds to produce, seconds to be back)."""
    command = ["kcat", "-P", "-E", "-b", f"{HOST}:{PORT}", "-t", TOPIC, "-K", "\\x01",
               "-D", "\\x02", "-z", "zstd", "-X", "enable.idempotence=true",
               "-X", "message.timeout.ms=60000", "-X", "reconnect.backoff.max.ms=200",
               "-X", "linger.ms=20"]
    with open(os.path.join(DATA, "kcat.log"), "ab") as log:
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, stdout=log)
    half = threading.Event()
    started = time.monotonic()
    feeder = threading.Thread(target=feed, args=(producer, stanzas, half), daemon=True)
    feeder.start()
    try:
        half.wait()
        node.kill()
        back = node.start()
        feeder.join()
        code = producer.wait()
    except BaseException:
        producer.kill()
        raise
    if code != 0:
        fail("kcat could not deliver everything; see data/kcat.log")
    return time.monotonic() - started, back


class Reader:
    """kcat as a member of the group. What it reads goes to `arrived`, which all readers share."""

    def __init__(self, group, number, arrived):
        self.number, self.arrived = number, arrived
        self.partitions, self.count = set(), 0
        command = ["kcat", "-G", group, "-b", f"{HOST}:{PORT}", "-E", "-u", "-q",
                   "-f", "%p\\x01%k\\x01%s\\x02", "-X", "auto.offset.reset=earliest",
                   "-X", "reconnect.backoff.max.ms=200", "-X", "check.crcs=true", TOPIC]
        with open(os.path.join(DATA, "kcat.log"), "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log,
                                            start_new_session=True, preexec_fn=end_with_parent)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        rest = b""
        while part := self.process.stdout.read1(1 << 20):
            *records, rest = (rest + part).split(RECORD_END)
            for record in records:
                partition, name, stanza = record.split(KEY_END, 2)
                self.partitions.add(int(partition))
                self.arrived.append((name, stanza))
            self.count += len(records)

    def leave(self):
        """It commits what it has read, and tells the group."""
        self.process.terminate()
        try:
            self.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.thread.join()


class Group:
    """Consumers that share the topic and read along."""

    def __init__(self):
        self.name = f"readers-{os.getpid()}"
        self.arrived = []
        self.readers = [Reader(self.name, number + 1, self.arrived) for number in range(READERS)]

    def wait_complete(self):
        """Until each reader has its share."""
        started = time.monotonic()
        while True:
            group = rpc("DescribeGroups:5", {"groups": [self.name]})["groups"][0]
            if group["groupState"] == "Stable" and len(group["members"]) == READERS:
                return
            self.check(started)
            time.sleep(0.05)

    def wait_read(self, count):
        """Until as much was read and no more comes. Returns when the last came."""
        last, came = -1, time.monotonic()
        while last < count or time.monotonic() - came < IDLE_S:
            if len(self.arrived) != last:
                last, came = len(self.arrived), time.monotonic()
            self.check(came)
            time.sleep(0.005)
        return came

    def check(self, since):
        if any(reader.process.poll() is not None for reader in self.readers):
            fail("A consumer has ended; see data/kcat.log")
        if time.monotonic() - since > STUCK_S:
            fail(f"The group reads no further than {len(self.arrived)} records; see {LOG_SHOWN}")

    def lag(self):
        """Records that the group has not committed."""
        partitions = list(range(PARTITIONS))
        ends = rpc("ListOffsets:7", {"replicaId": -1, "topics": [{"name": TOPIC, "partitions": [
            {"partitionIndex": partition, "timestamp": -1} for partition in partitions]}]})
        committed = rpc("OffsetFetch:8", {"groups": [{"groupId": self.name, "topics": [
            {"name": TOPIC, "partitionIndexes": partitions}]}]})
        return (sum(end["offset"] for end in ends["topics"][0]["partitions"])
                - sum(max(0, found["committedOffset"])
                      for found in committed["groups"][0]["topics"][0]["partitions"]))


def produce_and_read(node, stanzas):
    """Returns (the group, seconds to produce, seconds to be back, seconds to read)."""
    group = Group()
    try:
        group.wait_complete()
        started = time.monotonic()
        produced_s, back_s = produce(node, stanzas)
        read_s = group.wait_read(len(stanzas)) - started
    finally:
        for reader in group.readers:
            reader.leave()
    return group, produced_s, back_s, read_s


def compare(stanzas, arrived):
    """Returns (lost, doubled, whether the values of each key came in their order, keys)."""
    wanted, found = {}, {}
    for records, by_name in ((stanzas, wanted), (arrived, found)):
        for name, stanza in records:
            by_name.setdefault(name, []).append(stanza)
    lost = sum(max(0, len(values) - len(found.get(name, []))) for name, values in wanted.items())
    doubled = sum(max(0, len(values) - len(wanted.get(name, []))) for name, values in found.items())
    return lost, doubled, found == wanted, len(wanted)


def shares(group):
    return "\n".join(f"  {f'read by consumer {reader.number}':<22}{reader.count} from partitions "
                     f"{', '.join(map(str, sorted(reader.partitions)))}"
                     for reader in group.readers)


def demo(node, first_answer):
    source, stanzas = package_index()
    size = sum(len(name) + len(stanza) for name, stanza in stanzas)
    print(f"Streaming {source} to topic {TOPIC}: {len(stanzas)} stanzas, {size / 1e6:.1f} MB,\n"
          f"{PARTITIONS} partitions, which a group of {READERS} consumers reads along; the node is "
          f"killed\nwith SIGKILL in the middle.", flush=True)
    create_topic()
    group, produced_s, back_s, read_s = produce_and_read(node, stanzas)
    lost, doubled, in_order, keys = compare(stanzas, group.arrived)
    lag = group.lag()
    print(f"""
  records in            {len(stanzas)}
  records out           {len(group.arrived)}
{shares(group)}
  lost                  {lost}
  doubled               {doubled}
  order per key         {'kept' if in_order else 'BROKEN'} ({keys} keys)
  lag of the group      {lag} after its consumers have left
  produced in           {produced_s:.2f} s ({size / 1e6 / produced_s:.0f} MB/s), the kill included
  all read in           {read_s:.2f} s ({size / 1e6 / read_s:.0f} MB/s), from the same start
  time to first answer  {first_answer * 1e3:.1f} ms from its first start
  time to be back       {back_s * 1e3:.1f} ms from its start after SIGKILL, recovery included
""", flush=True)
    if lost or doubled or lag or not in_order:
        fail("That is not what was promised; the data is kept in ./data for a look.")
    with open(SHOWN, "w") as shown:
        shown.write("Delete this file to see the demonstration again.\n")


def greet(first_answer):
    print(f"Ottla listens on {HOST}:{PORT}; its first answer came after "
          f"{first_answer * 1e3:.1f} ms.\n"
          f"Data is in ./data, the log in {LOG_SHOWN}. Try, in another terminal:\n")
    rpc_line = f"build/ottla rpc {HOST}:{PORT}"
    lines = [(f"kcat -b {HOST}:{PORT} -L", "what is there"),
             (f"kcat -b {HOST}:{PORT} -C -t {TOPIC} -o -3 -e", "the last of each partition"),
             (f"kcat -b {HOST}:{PORT} -G readers {TOPIC}", "in two terminals: they share")]
    if not shutil.which("kcat"):
        lines = []
    lines.append(("build/ottla --help", "commands of its own: topic, produce, consume …"))
    if shutil.which("curl"):
        lines.append(("curl -s http://127.0.0.1:8092/metrics | grep messagesin", "its counts"))
    else:
        lines.append((f"{rpc_line} DescribeCluster", "any request, as JSON"))
    for line, comment in lines:
        print(f"  {line:<58}# {comment}")
    print("\nCtrl-C stops it.", flush=True)


def run(node):
    first = not os.path.exists(SHOWN)
    first_answer = node.start()
    if first and shutil.which("kcat"):
        demo(node, first_answer)
    elif first:
        print("kcat is not installed (apt-get install kcat), so the demonstration is left out.\n")
    greet(first_answer)
    return node.wait()


def main():
    if not os.path.exists(OTTLA):
        fail("build/ottla is not there; `make build` makes it")
    os.makedirs(DATA, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, terminated)
    node = Node()
    try:
        return run(node)
    except (KeyboardInterrupt, Terminated):
        print("\nStopping.", flush=True)
        return 130
    finally:
        node.stop()


if __name__ == "__main__":
    sys.exit(main())
