#!/usr/bin/env python3
"""`make run`: one Ottla node on 127.0.0.1:9092 with its data under ./data, in the foreground.

The first run shows the main job on real input: every stanza of this machine's package index is
produced to a topic (key = package name), the node is killed with SIGKILL in the middle and started
again, and everything is read back and compared. All figures printed are measured.
"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTTLA = os.path.join(ROOT, "build", "ottla")
DATA = os.path.join(ROOT, "data")
SHOWN = os.path.join(DATA, ".demo-shown")
LOG = os.path.join(DATA, "server.log")
HOST, PORT = "127.0.0.1", 9092
TOPIC = "packages"
PARTITIONS = 4
KEY_END, RECORD_END = b"\x01", b"\x02"


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(1)


class Node:
    """The server as a child process."""

    def __init__(self):
        self.process = None

    def start(self):
        """Starts it; returns the seconds until it answered ApiVersions."""
        started = time.monotonic()
        with open(LOG, "ab") as log:
            self.process = subprocess.Popen([OTTLA, "server"], cwd=ROOT, stdout=log, stderr=log)
        while True:
            if self.process.poll() is not None:
                with open(LOG, errors="replace") as log:
                    lines = [line for line in log if " ERROR " in line][-3:]
                fail("".join(lines) or f"The server ended at once; see {os.path.relpath(LOG)}")
            if answers():
                return time.monotonic() - started
            if time.monotonic() - started > 60:
                fail(f"The server does not answer; see {os.path.relpath(LOG)}")
            time.sleep(0.0005)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self):
        while True:
            try:
                return self.process.wait()
            except KeyboardInterrupt:
                self.process.send_signal(signal.SIGINT)


def answers():
    """Whether the node answers an ApiVersions request."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((HOST, PORT), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
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


def create_topic():
    body = ('{"topics":[{"name":"%s","numPartitions":%d,"replicationFactor":1}]}'
            % (TOPIC, PARTITIONS))
    subprocess.run([OTTLA, "rpc", f"{HOST}:{PORT}", "CreateTopics:7", body], check=True,
                   stdout=subprocess.DEVNULL)


def produce(node, stanzas):
    """Produces all stanzas with an idempotent producer; half-way the node is killed and comes
    back. Returns (seconds to produce, seconds to be back)."""
    command = ["kcat", "-P", "-E", "-b", f"{HOST}:{PORT}", "-t", TOPIC, "-K", "\\x01", "-D", "\\x02",
               "-z", "zstd", "-X", "enable.idempotence=true", "-X", "message.timeout.ms=60000",
               "-X", "reconnect.backoff.max.ms=200", "-X", "linger.ms=20"]
    with open(os.path.join(DATA, "kcat.log"), "ab") as log:
        producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, stdout=log)
    half = threading.Event()

    def feed():
        for place, (name, stanza) in enumerate(stanzas):
            producer.stdin.write(name + KEY_END + stanza + RECORD_END)
            if place == len(stanzas) // 2:
                producer.stdin.flush()
                half.set()
        producer.stdin.close()

    started = time.monotonic()
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    half.wait(60)
    node.kill()
    back = node.start()
    feeder.join()
    if producer.wait() != 0:
        fail("kcat could not deliver everything; see data/kcat.log")
    return time.monotonic() - started, back


def read_back():
    """Reads the topic to its end. Returns (seconds, values of each key in their order)."""
    started = time.monotonic()
    command = ["kcat", "-C", "-b", f"{HOST}:{PORT}", "-t", TOPIC, "-o", "beginning", "-e", "-q",
               "-K", "\\x01", "-D", "\\x02", "-X", "check.crcs=true"]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    found = {}
    for record in output.split(RECORD_END)[:-1]:
        name, stanza = record.split(KEY_END, 1)
        found.setdefault(name, []).append(stanza)
    return time.monotonic() - started, found


def demo(node, first_answer):
    if not shutil.which("kcat"):
        print("kcat is not installed, so the demonstration is left out (apt-get install kcat).")
        return
    source, stanzas = package_index()
    size = sum(len(name) + len(stanza) for name, stanza in stanzas)
    print(f"Streaming {source}: {len(stanzas)} stanzas, {size / 1e6:.1f} MB, to topic {TOPIC} "
          f"({PARTITIONS} partitions);\nthe node is killed with SIGKILL in the middle.", flush=True)
    create_topic()
    produced_s, back_s = produce(node, stanzas)
    read_s, found = read_back()

    wanted = {}
    for name, stanza in stanzas:
        wanted.setdefault(name, []).append(stanza)
    out = sum(len(values) for values in found.values())
    lost = sum(max(0, len(values) - len(found.get(name, []))) for name, values in wanted.items())
    doubled = sum(max(0, len(values) - len(wanted.get(name, []))) for name, values in found.items())
    in_order = found == wanted
    print(f"""
  records in            {len(stanzas)}
  records out           {out}
  lost                  {lost}
  doubled               {doubled}
  order per key         {'kept' if in_order else 'BROKEN'} ({len(wanted)} keys)
  produced in           {produced_s:.2f} s ({size / 1e6 / produced_s:.0f} MB/s, the kill included)
  read back in          {read_s:.2f} s ({size / 1e6 / read_s:.0f} MB/s)
  time to first answer  {first_answer * 1e3:.1f} ms after the first start
  time to be back       {back_s * 1e3:.1f} ms after SIGKILL, recovery included
""", flush=True)
    if lost or doubled or not in_order:
        fail("That is not what was promised; the data is kept in ./data for a look.")
    with open(SHOWN, "w") as shown:
        shown.write("Delete this file to see the demonstration again.\n")


def main():
    os.makedirs(DATA, exist_ok=True)
    first = not os.path.exists(SHOWN)
    node = Node()
    first_answer = node.start()
    try:
        if first:
            demo(node, first_answer)
        print(f"""Ottla listens on {HOST}:{PORT} (first answer after {first_answer * 1e3:.1f} ms); data in ./data, log in data/server.log.
Try, in another terminal:
  kcat -b {HOST}:{PORT} -L                                   what is there
  kcat -b {HOST}:{PORT} -C -t {TOPIC} -o -3 -e                the last records of each partition
  curl -s http://127.0.0.1:8092/metrics | grep messagesin     what the node counts
Ctrl-C stops it.""", flush=True)
    except BaseException:
        node.process.terminate()
        node.wait()
        raise
    sys.exit(node.wait())


if __name__ == "__main__":
    main()
