"""Requests of administration with the answers of Apache Kafka 4.3.1, as text:

    # a comment
    > CreateTopics:7 {"topics": ...}      the request, sent in the order of the file to a new node
    < {"topics": ...}                     Kafka's answer, without what differs from run to run
    ! {"topics": ...}                     ours, where it is another one for a reason; the reason
                                          stands in a comment before the request

An answer may go on over several lines. `python3 admin_answers.py record FILE HOST:PORT` asks a
fresh Apache Kafka and writes its answers anew; then read the diff.
"""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OTTLA = os.environ.get("OTTLA", os.path.join(ROOT, "build", "ottla"))

ORDERED_BY = ("name", "topicName", "topic", "resourceType", "resourceName", "partitionIndex",
              "errorMessage")
ANY_ORDER = ("configs", "topics", "partitions", "results", "responses", "configResources")
SET_IN_FILES = {
    "advertised.listeners", "broker.id", "controller.listener.names",
    "controller.quorum.bootstrap.servers", "controller.quorum.voters",
    "group.initial.rebalance.delay.ms", "inter.broker.listener.name", "listeners", "log.dir",
    "log.dirs", "node.id", "offsets.topic.replication.factor", "process.roles",
    "share.coordinator.state.topic.min.isr", "share.coordinator.state.topic.replication.factor",
    "transaction.state.log.min.isr", "transaction.state.log.replication.factor"}
ZERO_ID = "A" * 22


def normalise(value, field=None):
    """Without ids, times, ports, paths and offsets of one run; lists without a promised order are
    sorted; settings of one node's file are left out."""
    if isinstance(value, dict):
        return {name: normalise_field(name, inner) for name, inner in value.items()
                if name != "replicaDirectoryId"}
    if isinstance(value, list):
        items = [normalise(item) for item in value
                 if not (isinstance(item, dict) and is_of_file(item))]
        if field in ANY_ORDER and items and isinstance(items[0], dict):
            items.sort(key=lambda item: json.dumps([item.get(key) for key in ORDERED_BY]))
        return items
    return value


def is_of_file(item):
    name = item.get("name") or ""
    return "configSource" in item and (name in SET_IN_FILES or name.startswith("ottla."))


def normalise_field(name, value):
    if name in ("topicId", "clusterId") and value not in (ZERO_ID, ""):
        return "ID"
    if name == "logDir":
        return "DIRECTORY"
    if name in ("totalBytes", "usableBytes", "highWatermark", "logEndOffset", "port") or \
            "Timestamp" in name:
        return value if value == -1 else "NUMBER"
    return normalise(value, name)


def pretty(value, indent=0):
    """JSON that is broken where its line would pass 240 characters; a setting keeps its line."""
    line = json.dumps(value)
    setting = isinstance(value, dict) and "configSource" in value
    if len(line) + indent <= 240 or setting or not isinstance(value, (dict, list)) or not value:
        return line
    inner = " " * (indent + 1)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {pretty(item, indent + 1)}" for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [pretty(item, indent + 1) for item in value]
        opening, closing = "[", "]"
    return opening + (",\n" + inner).join(parts) + closing


def ask(address, api, body):
    run = subprocess.run([OTTLA, "rpc", address, api, body], capture_output=True, text=True,
                         timeout=60)
    if run.returncode != 0:
        raise RuntimeError(f"rpc {api} {body}: {run.stderr}")
    return normalise(json.loads(run.stdout))


class Case:
    def __init__(self, comments, api, body):
        self.comments = comments
        self.api = api
        self.body = body
        self.theirs = ""
        self.ours = ""


def read(path):
    """The cases of a file, and the comments at its end."""
    cases, comments, target = [], [], None
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("> "):
            api, body = line[2:].split(" ", 1)
            cases.append(Case(comments, api, body))
            comments = []
        elif line.startswith("#") or not line:
            comments.append(line)
        elif line.startswith(("< ", "! ")):
            target = "theirs" if line[0] == "<" else "ours"
            setattr(cases[-1], target, line[2:])
        else:
            setattr(cases[-1], target, getattr(cases[-1], target) + "\n" + line)
    return cases, comments


def record(path, address):
    cases, tail = read(path)
    lines = []
    for case in cases:
        answer = pretty(ask(address, case.api, case.body), 2)
        lines += case.comments + [f"> {case.api} {case.body}", f"< {answer}"]
        lines += [f"! {case.ours}"] if case.ours else []
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines + tail))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "record":
        sys.exit(__doc__)
    record(sys.argv[2], sys.argv[3])
