"""Groups handed over between Apache Kafka and Ottla on one data directory, in both directions: what
one has committed the other tells, and goes on with."""
import os
import subprocess
import sys
import time

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, os.path.join(HERE, "..", "transcripts"))

from kafka_node import in_turns  # noqa: E402

SETTINGS = {"offsets.topic.num.partitions": "2", "offsets.topic.replication.factor": "1",
            "group.initial.rebalance.delay.ms": "0", "log.flush.interval.messages": "1000000"}
GROUPS = ("simple", "classic", "consumer")


@pytest.fixture
def nodes(tmp_path):
    with in_turns(tmp_path, SETTINGS) as both:
        yield both


def commit(node, group, topic, offsets, metadata="m"):
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group,
                             enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, index) for index in offsets])
    consumer.commit({TopicPartition(topic, index): OffsetAndMetadata(offset, metadata, -1)
                     for index, offset in offsets.items()})
    consumer.close()


def read_as_member(node, group, topic, *options):
    """Reads all there is as a member, and leaves."""
    subprocess.run(["timeout", "12", "kcat", "-b", node.bootstrap, "-G", group, "-X",
                    "auto.offset.reset=earliest", *options, topic], capture_output=True)


def wait_for(node, group):
    """Its coordinator may still be loading."""
    deadline = time.monotonic() + 30
    while True:
        asked = {"groups": [{"groupId": group, "topics": None}]}
        found = node.rpc("OffsetFetch:9", asked)["groups"][0]
        if found["errorCode"] == 0:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def told(node, groups=GROUPS):
    """All that a node says of the groups."""
    offsets = {}
    for group in groups:
        for topic in wait_for(node, group)["topics"]:
            for each in topic["partitions"]:
                offsets[group, topic["name"], each["partitionIndex"]] = (
                    each["committedOffset"], each["committedLeaderEpoch"], each["metadata"])
    listed = {each["groupId"]: (each["protocolType"], each["groupState"], each["groupType"])
              for each in node.rpc("ListGroups:5", {})["groups"]}
    return offsets, listed


@pytest.mark.timeout(300)
def test_groups_go_there_and_back(nodes):
    ottla, kafka = nodes
    ottla.start()
    topic = ottla.create_topic("orders", 3)
    subprocess.run(["kcat", "-b", ottla.bootstrap, "-P", "-t", topic], check=True, text=True,
                   input="".join(f"{number}\n" for number in range(300)))
    commit(ottla, "simple", topic, {0: 5, 2: 7})
    read_as_member(ottla, "classic", topic)
    read_as_member(ottla, "consumer", topic, "-X", "group.protocol=consumer")
    before = told(ottla)
    assert sum(offset for (group, _, _), (offset, _, _) in before[0].items()
               if group == "classic") == 300
    assert before[1]["classic"] == ("consumer", "Empty", "classic")
    assert ottla.stop() == 0

    kafka.start()
    assert told(kafka) == before
    commit(kafka, "simple", topic, {1: 9})
    commit(kafka, "kafkas", topic, {0: 1})
    assert kafka.rpc("DeleteGroups:2", {"groupsNames": ["classic"]})["results"][0]["errorCode"] == 0
    groups = GROUPS + ("kafkas",)
    between = told(kafka, groups)
    assert kafka.stop(60) in (0, 143)

    ottla.start()
    assert told(ottla, groups) == between
    assert "classic" not in between[1]


@pytest.mark.timeout(300)
def test_a_topic_that_was_written_anew(nodes):
    """Apache Kafka opens an offsets topic whose log we have cut at its start."""
    ottla, kafka = nodes
    ottla.settings["offsets.topic.num.partitions"] = "1"
    ottla.start()
    topic = ottla.create_topic("wide", 200)
    commit(ottla, "simple", topic, {3: 4}, "stays")
    last = 0
    for last in range(1, 46):
        commit(ottla, "much", topic, {index: last for index in range(200)}, "m" * 4000)

    def log_start():
        answer = ottla.rpc("ListOffsets:7", {"replicaId": -1, "topics": [
            {"name": "__consumer_offsets", "partitions": [{"partitionIndex": 0, "timestamp": -2}]}]})
        return answer["topics"][0]["partitions"][0]["offset"]

    deadline = time.monotonic() + 60
    while log_start() == 0:
        assert time.monotonic() < deadline, ottla.log()
        time.sleep(0.5)
    before = told(ottla, ("simple", "much"))
    assert before[0]["simple", topic, 3] == (4, -1, "stays")
    assert {offset for (group, _, _), (offset, _, _) in before[0].items()
            if group == "much"} == {last}
    assert ottla.stop() == 0
    kafka.settings["offsets.topic.num.partitions"] = "1"
    kafka.start()
    assert told(kafka, ("simple", "much")) == before
    assert kafka.stop(60) in (0, 143)
