"""Plays a transcript against a node, Ottla or Apache Kafka, and gives back what it answered."""
import json
import os
import struct
import subprocess
import sys
import time

import batches
from normal import Names, request_to_wire
from transcript import Action, Step

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from node import OTTLA  # noqa: E402

# After these, Apache Kafka's broker learns of the change a little later than its controller.
CHANGING = {"CreateTopics", "DeleteTopics", "CreatePartitions", "AlterConfigs", "Metadata",
            "IncrementalAlterConfigs", "UpdateFeatures"}

COORDINATOR_LOAD_IN_PROGRESS = 14

# Settings of every node, over which a transcript's stand. The records of transcripts are old.
SETTINGS = {
    "log.retention.ms": "-1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
}


class Connection:
    """`ottla rpc --script`: one connection, one line in, one line out."""

    def __init__(self, address):
        self.process = subprocess.Popen([OTTLA, "rpc", address, "--script", "-"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"ottla rpc ended with {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def frame_line(request):
    """A frame by hand: the header's fields and the body in hexadecimal, or nothing but bytes."""
    answer = " " + request["answer"] if "answer" in request else ""
    if "bytes" in request:
        return "frame " + request["bytes"] + answer
    client = request.get("clientId", "test").encode()
    frame = (request["apiKey"].to_bytes(2, "big", signed=True)
             + request["apiVersion"].to_bytes(2, "big", signed=True)
             + request.get("correlationId", 7).to_bytes(4, "big", signed=True)
             + len(client).to_bytes(2, "big") + client)
    if request.get("flexible", False):
        frame += b"\0"
    return "frame " + (frame + bytes.fromhex(request.get("body", ""))).hex() + answer


class Player:
    def __init__(self, node, settle_s, file):
        self.node, self.settle_s = node, settle_s
        self.connections = {}
        self.names = Names(file)
        self.folders = node.settings["log.dirs"].split(",")
        if len(self.folders) == 1:  # else it depends on what lies where: act_obstruct
            self.names.bind("path", self.folders[0], "$log_dir")
        self.names.bind("port", node.port, "$port")
        self.names.bind("port", node.controller_port, "$controller_port")
        for port, name in ((node.port, "$port"), (node.controller_port, "$controller_port")):
            self.names.texts[f"127.0.0.1:{port}"] = f"127.0.0.1:{name}"

    def connection(self, name):
        if name not in self.connections:
            address = self.node.controller if name.startswith("controller") else self.node.bootstrap
            self.connections[name] = Connection(address)
        return self.connections[name]

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def play(self, transcript):
        """Yields each step with its outcome: {"answer": tree}, {"closed": true}, ..."""
        for item in transcript.items:
            if isinstance(item, Action):
                self.act(item)
            elif isinstance(item, Step):
                if item.sends:
                    self.send(item)
                if item.receives:
                    yield item, self.receive(item)
                if item.api in CHANGING:
                    time.sleep(self.settle_s)

    def send(self, step):
        request = self.names.fill(step.request)
        if step.api == "frame":
            line = frame_line(request)
        else:
            line = f"{step.name} {json.dumps(request_to_wire(request))}"
        self.connection(step.connection).send(line)

    def receive(self, step):
        """Kafka's broker gets its ids in blocks, and while it has none it says: come again."""
        outcome = self.connection(step.connection).receive()
        deadline = time.monotonic() + 10
        while (step.api == "InitProducerId" and time.monotonic() < deadline
               and outcome.get("answer", {}).get("errorCode") == COORDINATOR_LOAD_IN_PROGRESS):
            time.sleep(0.1)
            self.send(step)
            outcome = self.connection(step.connection).receive()
        return outcome

    # --- actions ---

    def act(self, action):
        verb, *words = action.words
        getattr(self, f"act_{verb}")(*words)

    def act_topic(self, name, partitions, *configs):
        """Makes a topic, whose id gets a name."""
        pairs = [config.split("=", 1) for config in configs]
        request = {"timeoutMs": 30000, "topics": [{
            "name": name, "numPartitions": int(partitions), "replicationFactor": 1,
            "configs": [{"name": key, "value": value} for key, value in pairs]}]}
        connection = self.connection("broker")
        connection.send(f"CreateTopics:7 {json.dumps(request)}")
        topic = connection.receive()["answer"]["topics"][0]
        if topic["errorCode"] != 0:
            raise RuntimeError(f"{name} cannot be made: {topic}")
        self.names.name("topic_id", topic["topicId"], topic)
        time.sleep(self.settle_s)

    def act_wait(self, seconds):
        time.sleep(float(seconds))

    def act_restart(self):
        self.close()
        self.node.stop()
        self.node.start()

    def act_kill(self):
        self.close()
        self.node.kill()
        self.node.start()

    def act_coordinator(self, group):
        """Waits until the group has a coordinator, which may have to be made, and to load."""
        asks = (("FindCoordinator:4", {"keyType": 0, "coordinatorKeys": [group]}, "coordinators"),
                ("DescribeGroups:5", {"groups": [group]}, "groups"))
        connection = self.connection("broker")
        deadline = time.monotonic() + 30
        while asks:
            name, request, items = asks[0]
            connection.send(f"{name} {json.dumps(request)}")
            code = connection.receive()["answer"][items][0]["errorCode"]
            if code == 0:
                asks = asks[1:]
            elif time.monotonic() > deadline:
                raise RuntimeError(f"{group} has no coordinator: {name} says {code}")
            else:
                time.sleep(0.1)

    def transaction_state(self, transactional_id):
        connection = self.connection("broker")
        connection.send("DescribeTransactions:0 " +
                        json.dumps({"transactionalIds": [transactional_id]}))
        return connection.receive()["answer"]["transactionStates"][0]

    def act_transactions(self, transactional_id):
        """Waits until the transactional id has a coordinator."""
        connection = self.connection("broker")
        for _ in range(300):
            connection.send("FindCoordinator:4 " +
                            json.dumps({"keyType": 1, "coordinatorKeys": [transactional_id]}))
            found = connection.receive()["answer"]["coordinators"][0]["errorCode"] == 0
            if found and self.transaction_state(transactional_id)["errorCode"] in (0, 105):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{transactional_id} has no coordinator")

    def act_ended(self, transactional_id):
        """Waits until the last transaction has ended in its partitions."""
        for _ in range(300):
            if not self.transaction_state(transactional_id)["transactionState"].startswith("Prepare"):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the transaction of {transactional_id} does not end")

    def act_epoch(self, transactional_id, producer_id, epoch, timeout_ms="60000"):
        """The log of the only coordinator says that the id has come to this epoch, which would take
        long; the coordinator believes it when it is loaded anew."""
        name = transactional_id.encode()
        value = struct.pack(">hqhibiqq", 0, int(producer_id), int(epoch), int(timeout_ms), 0, -1,
                            int(time.time() * 1000), -1)
        key = struct.pack(">hh", 0, len(name)) + name
        records = batches.build([{"records": [{"key": {"hex": key.hex()},
                                               "value": {"hex": value.hex()}}]}])
        topic = b"__transaction_state"
        body = (struct.pack(">hhiih", -1, -1, 30000, 1, len(topic)) + topic
                + struct.pack(">iii", 1, 0, len(records)) + records)
        connection = self.connection("broker")
        connection.send(frame_line({"apiKey": 0, "apiVersion": 3, "clientId": "__admin_client",
                                    "body": body.hex()}))
        connection.receive()

    def partition_folder(self, partition):
        for folder in self.folders:
            path = os.path.join(folder, partition)
            if os.path.isdir(path):
                return path
        raise RuntimeError(f"no log directory has {partition}")

    def act_damage(self, partition, position, data):
        """While the node is down, other bytes come to stand in the partition's first segment."""
        self.close()
        self.node.stop()
        with open(os.path.join(self.partition_folder(partition), f"{0:020d}.log"), "r+b") as file:
            file.seek(int(position))
            file.write(bytes.fromhex(data))
        self.node.start()

    def act_obstruct(self, partition, offset):
        """A folder stands where the partition's next segment has to go: its disk has failed."""
        path = os.path.join(self.partition_folder(partition), f"{int(offset):020d}.log")
        os.makedirs(os.path.join(path, "obstacle"))
        for folder in self.folders:
            broken = path.startswith(folder + os.sep)
            self.names.bind("path", folder, "$broken_dir" if broken else "$whole_dir")


def play(transcript, node, settle_s, on_outcome):
    """Plays over a node of its own. on_outcome(step, outcome, names) per answer."""
    node.settings.update(SETTINGS)
    node.settings.update({key: value.replace("$data", node.settings["log.dirs"])
                          for key, value in transcript.settings.items()})
    node.start()
    player = Player(node, settle_s, transcript.name.removesuffix(".txt"))
    try:
        for step, outcome in player.play(transcript):
            on_outcome(step, outcome, player.names)
    finally:
        player.close()
        node.stop()
