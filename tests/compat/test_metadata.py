"""Our metadata log, snapshots and formatted directories beside Apache Kafka's, both ways."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOOL = os.environ.get("OTTLA_META_TOOL", os.path.join(ROOT, "build/tests/compat/metadata/meta_tool"))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")
FOLDER = "__cluster_metadata-0"
CLUSTER = "AAAAAAAAAAAAAAAAAAAAAQ"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def kafka_installed():
    subprocess.run([KAFKA, "install"], check=True)


def ours(*arguments):
    run = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def kafka(*arguments):
    run = subprocess.run([KAFKA, "tool", *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def write_properties(path, data, broker_port, controller_port, *more):
    path.write_text("\n".join([
        "process.roles=broker,controller", "node.id=1",
        f"controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}",
        f"listeners=PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{broker_port}",
        "controller.listener.names=CONTROLLER", f"log.dirs={data}",
        "offsets.topic.replication.factor=1", *more]) + "\n")
    return path


class Broker:
    """Apache Kafka on a directory."""

    def __init__(self, properties, port):
        self.properties, self.bootstrap = properties, f"127.0.0.1:{port}"

    def __enter__(self):
        self.log = open(str(self.properties) + ".log", "w")
        self.process = subprocess.Popen([KAFKA, "tool", "kafka.Kafka", str(self.properties)],
                                        stdout=self.log, stderr=subprocess.STDOUT)
        host, port = self.bootstrap.split(":")
        for _ in range(600):
            assert self.process.poll() is None, open(self.log.name).read()[-3000:]
            try:
                socket.create_connection((host, int(port)), 1).close()
                return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError("Apache Kafka does not answer")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()

    def topics(self, *arguments):
        return kafka("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.bootstrap,
                     *arguments)


def snapshots(data):
    return sorted(str(p) for p in (data / FOLDER).glob("*.checkpoint"))


def segments(data):
    return sorted(str(p) for p in (data / FOLDER).glob("*.log"))


def masked(path):
    """The file's bytes without what differs from run to run: times and checksums."""
    data = bytearray(open(path, "rb").read())
    position = 0
    while position < len(data):
        length = struct.unpack_from(">i", data, position + 8)[0]
        data[position + 17:position + 21] = bytes(4)
        data[position + 27:position + 43] = bytes(16)
        position += 12 + length
    assert position == len(data)
    return data


def dump(*paths):
    """What Apache Kafka's dump tool reads: the batches' lines, and the records as JSON."""
    out = kafka("org.apache.kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files",
                ",".join(paths))
    assert "isvalid: false" not in out and "Exception" not in out and "Error" not in out, out
    return out, [json.loads(m) for m in re.findall(r" payload: (.*)", out)]


def normal(lines):
    """Records as JSON; Kafka's features are a set without an order."""
    records = [json.loads(line) if isinstance(line, str) else line for line in lines]
    for record in records:
        if "features" in record["data"]:
            record["data"]["features"].sort(key=lambda f: f["name"])
    return records


def shell(snapshot, *command):
    return kafka("org.apache.kafka.shell.MetadataShell", "--snapshot", snapshot, *command)


def test_formatting_writes_what_kafka_writes(tmp_path):
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    properties = write_properties(tmp_path / "p", theirs, 9092, 9093)
    kafka("kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c", properties)
    ours("format", mine, 1, CLUSTER, "127.0.0.1", 9093)

    assert masked(mine / "bootstrap.checkpoint") == masked(theirs / "bootstrap.checkpoint")
    name = f"{FOLDER}/00000000000000000000-0000000000.checkpoint"
    left, right = masked(mine / name), masked(theirs / name)
    for data in (left, right):
        data[0x4a:0x52] = bytes(8)   # last contained log timestamp: now
        data[0x75:0x85] = bytes(16)  # directory id
    assert left == right
    for path in (name, "bootstrap.checkpoint", "meta.properties"):
        assert (mine / path).stat().st_mode == (theirs / path).stat().st_mode
    keys = [sorted(line.split("=")[0] for line in (d / "meta.properties").read_text().splitlines()
                   if not line.startswith("#")) for d in (mine, theirs)]
    assert keys[0] == keys[1]
    info = kafka("kafka.tools.StorageTool", "info", "-c",
                 write_properties(tmp_path / "q", mine, 9092, 9093))
    assert "Found problem" not in info and "directory.id" in info


@pytest.mark.parametrize("voters", ["-", "1@127.0.0.1:9093"])
def test_kafka_reads_all_record_types_we_write(tmp_path, voters):
    data = tmp_path / "data"
    ours("format", data, 1, CLUSTER, "127.0.0.1", 9093, *([] if voters == "-" else ["static"]))
    ours("run", data, voters, "history")
    ours("run", data, voters, "nothing")  # a second epoch
    log, snapshot = segments(data), snapshots(data)
    out, records = dump(*log)
    assert records == [json.loads(line) for path in log for line in ours("records", path)]
    assert len({r["type"] for r in records}) == 26
    assert re.search(r'LeaderChange: {"version":0,"leaderId":1,"voters":\[{"voterId":1}\]', out)
    assert ("KRaftVoters" in out) == (voters == "-")

    out, records = dump(snapshot[-1])
    assert records == [json.loads(line) for line in ours("records", snapshot[-1])]
    assert "SnapshotHeader" in out and "SnapshotFooter" in out
    assert shell(snapshot[-1], "ls", "/image/topics/byName").split() == ["alpha"]
    assert "retention.ms" in shell(snapshot[-1], "ls", "/image/configs/TOPIC:alpha")
    assert "leader=2" in shell(snapshot[-1], "cat", "/image/topics/byName/alpha/0")
    assert ours("image", data) == ours("image", data, "--log-only")


def test_a_directory_goes_to_kafka_and_back(tmp_path):
    data = tmp_path / "data"
    broker_port, controller_port = free_ports(2)
    ours("format", data, 1, CLUSTER, "127.0.0.1", controller_port)
    ours("run", data, "-", "topic")
    properties = write_properties(tmp_path / "p", data, broker_port, controller_port,
                                  "metadata.log.max.record.bytes.between.snapshots=3000")
    with Broker(properties, broker_port) as broker:
        described = broker.topics("--describe", "--topic", "ours")
        assert "PartitionCount: 3" in described and "retention.ms=123456789" in described
        assert described.count("Leader: 1") == 3
        broker.topics("--create", "--topic", "theirs", "--partitions", "5")
    assert normal(ours("image", data)) == normal(ours("image", data, "--log-only"))

    ours("run", data, "-", "nothing")  # our epoch behind theirs
    names = [r["data"]["name"] for r in normal(ours("image", data)) if r["type"] == "TOPIC_RECORD"]
    assert names == ["ours", "theirs"]
    with Broker(properties, broker_port) as broker:
        assert sorted(broker.topics("--list").split()) == ["ours", "theirs"]


def test_we_read_what_kafka_wrote(tmp_path):
    data = tmp_path / "data"
    broker_port, controller_port = free_ports(2)
    properties = write_properties(
        tmp_path / "p", data, broker_port, controller_port,
        "metadata.log.max.record.bytes.between.snapshots=1500", "super.users=User:ANONYMOUS",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer")
    kafka("kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c", properties)
    with Broker(properties, broker_port) as broker:
        bootstrap = ("--bootstrap-server", broker.bootstrap)
        configs = ("kafka.admin.ConfigCommand", *bootstrap, "--alter", "--entity-type")
        broker.topics("--create", "--topic", "alpha", "--partitions", "4", "--config",
                      "retention.ms=12345")
        broker.topics("--create", "--topic", "beta", "--partitions", "2")
        kafka(*configs, "brokers", "--entity-default", "--add-config", "message.max.bytes=2000000")
        for config in ("producer_byte_rate=1024", "SCRAM-SHA-256=[iterations=8192,password=secret]"):
            kafka(*configs, "users", "--entity-name", "joe", "--add-config", config)
        kafka("org.apache.kafka.tools.AclCommand", *bootstrap, "--add", "--allow-principal",
              "User:bob", "--operation", "read", "--topic", "alpha")
        broker.topics("--delete", "--topic", "beta")
        time.sleep(3)  # idle NoOpRecords bring the next snapshot

    log, snapshot = segments(data), snapshots(data)
    assert len(snapshot) >= 2
    _, records = dump(*log)
    assert records == [json.loads(line) for path in log for line in ours("records", path)]
    # Kafka's image, as its newest snapshot has it, and ours from the log alone, are one.
    image = normal(ours("image", data, "--log-only"))
    assert normal(ours("image", data)) == image
    types = {r["type"] for r in image}
    assert {"CLIENT_QUOTA_RECORD", "USER_SCRAM_CREDENTIAL_RECORD", "ACCESS_CONTROL_ENTRY_RECORD",
            "CONFIG_RECORD", "REGISTER_CONTROLLER_RECORD"} <= types
    assert [r["data"]["name"] for r in image if r["type"] == "TOPIC_RECORD"] == ["alpha"]
