"""What administration changes really changes, at once and for good."""
import os
import socket
import time

import pytest
from confluent_kafka import KafkaError, Producer

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)


def alter(node, kind, name, **changes):
    """Sets settings; None deletes. Returns (error code, message)."""
    configs = [{"name": key.replace("__", "."), "configOperation": DELETE if value is None else SET,
                "value": None if value is None else str(value)}
               for key, value in changes.items()]
    answer = node.rpc("IncrementalAlterConfigs:1", {
        "resources": [{"resourceType": kind, "resourceName": name, "configs": configs}]})
    return answer["responses"][0]["errorCode"], answer["responses"][0]["errorMessage"]


def describe(node, kind, name, *keys):
    """{key: value}"""
    answer = node.rpc("DescribeConfigs:4", {"resources": [
        {"resourceType": kind, "resourceName": name, "configurationKeys": list(keys) or None}]})
    result = answer["results"][0]
    assert result["errorCode"] == 0, result
    return {config["name"]: config["value"] for config in result["configs"]}


def produce(node, topic, values, timestamp=None, **settings):
    """Returns the errors."""
    errors = []
    producer = Producer({"bootstrap.servers": node.bootstrap, "message.max.bytes": 10000000,
                         **settings})
    for value in values:
        producer.produce(topic, value, partition=0,
                         on_delivery=lambda error, _: error and errors.append(error.code()),
                         **({} if timestamp is None else {"timestamp": timestamp}))
    assert producer.flush(30) == 0
    return errors


def offset(node, topic, timestamp, partition=0):
    answer = node.rpc("ListOffsets:7", {"replicaId": -1, "topics": [{"name": topic, "partitions": [
        {"partitionIndex": partition, "timestamp": timestamp}]}]})
    found = answer["topics"][0]["partitions"][0]
    assert found["errorCode"] == 0
    return found["offset"]


def earliest(node, topic):
    return offset(node, topic, -2)


def delete_records(node, topic, up_to):
    answer = node.rpc("DeleteRecords:2", {"timeoutMs": 10000, "topics": [
        {"name": topic, "partitions": [{"partitionIndex": 0, "offset": up_to}]}]})
    partition = answer["topics"][0]["partitions"][0]
    return partition["errorCode"], partition["lowWatermark"]


def wait_for(condition, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- settings of brokers, while the node runs ---

@pytest.mark.parametrize("name", ["", "1"])
def test_message_size_changes_at_once(shared_node, name):
    topic = shared_node.create_topic(f"size-{name or 'all'}")
    large = [b"x" * 5000]
    assert produce(shared_node, topic, large) == []
    assert alter(shared_node, BROKER, name, message__max__bytes=1000) == (0, None)
    wait_for(lambda: produce(shared_node, topic, large) == [KafkaError.MSG_SIZE_TOO_LARGE])
    assert describe(shared_node, TOPIC, topic, "max.message.bytes") == {"max.message.bytes": "1000"}
    assert alter(shared_node, TOPIC, topic, max__message__bytes=9000) == (0, None)
    wait_for(lambda: produce(shared_node, topic, large) == [])
    assert alter(shared_node, TOPIC, topic, max__message__bytes=None) == (0, None)
    assert alter(shared_node, BROKER, name, message__max__bytes=None) == (0, None)
    wait_for(lambda: produce(shared_node, topic, large) == [])


def test_retention_changes_at_once(make_node):
    node = make_node(log__retention__check__interval__ms=100).start()
    topic = node.create_topic("old")
    yesterday = int(time.time() * 1000) - 24 * 3600 * 1000
    assert produce(node, topic, [b"v"] * 10, timestamp=yesterday) == []
    time.sleep(0.5)
    assert earliest(node, topic) == 0
    assert alter(node, BROKER, "", log__retention__ms=3600 * 1000) == (0, None)
    wait_for(lambda: earliest(node, topic) == 10)


def test_connection_limit_changes_at_once(make_node):
    node = make_node().start()
    assert alter(node, BROKER, "1", max__connections__per__ip=3) == (0, None)
    held = []

    def refused():
        try:
            with socket.create_connection(("127.0.0.1", node.port), timeout=5) as one_more:
                one_more.settimeout(0.3)
                return one_more.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    for _ in range(3):
        held.append(socket.create_connection(("127.0.0.1", node.port)))
    wait_for(refused)
    for connection in held:
        connection.close()
    wait_for(lambda: not refused())
    assert alter(node, BROKER, "1", max__connections__per__ip=None) == (0, None)


def test_settings_survive_a_kill(make_node):
    node = make_node().start()
    topic = node.create_topic("kept", retention_ms=1000000)
    assert alter(node, TOPIC, topic, segment__ms=77777, retention__ms=None) == (0, None)
    assert alter(node, BROKER, "", log__cleaner__threads=2) == (0, None)
    assert alter(node, GROUP, "g", consumer__heartbeat__interval__ms=6000) == (0, None)
    assert alter(node, METRICS, "m", interval__ms=2000) == (0, None)
    node.kill()
    node.start()
    assert describe(node, TOPIC, topic, "segment.ms", "retention.ms") == {
        "segment.ms": "77777", "retention.ms": "604800000"}
    assert describe(node, BROKER, "1", "log.cleaner.threads") == {"log.cleaner.threads": "2"}
    assert describe(node, GROUP, "g", "consumer.heartbeat.interval.ms") == {
        "consumer.heartbeat.interval.ms": "6000"}
    assert describe(node, METRICS, "m", "interval.ms") == {"interval.ms": "2000"}
    listed = {(item["resourceType"], item["resourceName"])
              for item in node.rpc("ListConfigResources:1")["configResources"]}
    assert listed == {(GROUP, "g"), (METRICS, "m"), (LOGGER, "1"), (BROKER, "1"), (TOPIC, topic)}


def test_levels_of_loggers(node):
    assert describe(node, LOGGER, "1")["controller"] == "INFO"
    assert alter(node, LOGGER, "1", root="FATAL") == (0, None)
    assert describe(node, LOGGER, "1")["controller"] == "FATAL"
    node.create_topic("unsaid")
    assert alter(node, LOGGER, "1", controller="TRACE") == (0, None)
    assert describe(node, LOGGER, "1", "controller", "root") == {"controller": "TRACE",
                                                                 "root": "FATAL"}
    node.create_topic("said")
    assert alter(node, LOGGER, "1", controller=None) == (0, None)
    node.create_topic("unsaid-too")
    assert "creating topic said " in node.log()
    assert "unsaid" not in node.log()
    assert alter(node, LOGGER, "1", root="INFO") == (0, None)


# --- records and what is on the disk ---

def test_delete_records(make_node):
    node = make_node().start()
    topic = node.create_topic("deleted")
    assert produce(node, topic, [b"v"] * 100, **{"batch.num.messages": 1}) == []
    assert delete_records(node, topic, 101) == (1, -1)  # OFFSET_OUT_OF_RANGE
    assert delete_records(node, topic, 40) == (0, 40)
    assert delete_records(node, topic, 20) == (0, 40)
    assert earliest(node, topic) == 40
    assert node.stop() == 0
    node.start()
    assert earliest(node, topic) == 40
    assert delete_records(node, topic, -1) == (0, 100)
    assert earliest(node, topic) == 100 == offset(node, topic, -1)
    compacted = node.create_topic("compacted", cleanup_policy="compact")
    assert delete_records(node, compacted, 0) == (44, -1)  # POLICY_VIOLATION


def test_log_directories(make_node, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    node = make_node(log__dirs=",".join(map(str, folders))).start()
    for number in range(6):
        produce(node, node.create_topic(f"t{number}"), [b"v" * 1000] * number)
    answer = node.rpc("DescribeLogDirs:5", {"topics": None})
    found = {}
    assert sorted(result["logDir"] for result in answer["results"]) == sorted(map(str, folders))
    for result in answer["results"]:
        disk = os.statvfs(result["logDir"])
        assert result["errorCode"] == 0
        assert result["totalBytes"] == disk.f_blocks * disk.f_frsize
        assert 0 < result["usableBytes"] < result["totalBytes"]
        for topic in result["topics"]:
            for partition in topic["partitions"]:
                path = os.path.join(result["logDir"], f"{topic['name']}-0", "0" * 20 + ".log")
                assert partition["partitionSize"] == os.path.getsize(path)
                assert partition["offsetLag"] == 0
                found[topic["name"]] = partition["partitionSize"]
    assert sorted(found) == [f"t{number}" for number in range(6)]
    assert found["t0"] == 0 < found["t1"] < found["t5"]
    one = node.rpc("DescribeLogDirs:4", {"topics": [{"topic": "t3", "partitions": [0, 0, 5]}]})
    topics = [topic for result in one["results"] for topic in result["topics"]]
    assert [(topic["name"], len(topic["partitions"])) for topic in topics] == [("t3", 1)]


def test_producers(shared_node):
    topic = shared_node.create_topic("producers")
    assert produce(shared_node, topic, [b"v"] * 5, **{"enable.idempotence": True}) == []
    answer = shared_node.rpc("DescribeProducers:0",
                             {"topics": [{"name": topic, "partitionIndexes": [0]}]})
    producers = answer["topics"][0]["partitions"][0]["activeProducers"]
    assert len(producers) == 1
    assert producers[0]["lastSequence"] == 4
    assert producers[0]["producerEpoch"] == 0
    assert producers[0]["coordinatorEpoch"] == -1
    assert producers[0]["currentTxnStartOffset"] == -1
    assert abs(producers[0]["lastTimestamp"] - time.time() * 1000) < 60000


def test_topics_page_by_page(node):
    for number in range(5):
        node.create_topic(f"page-{number}", partitions=number + 1)
    cursor, seen, pages = None, [], 0
    while pages == 0 or cursor is not None:
        answer = node.rpc("DescribeTopicPartitions:0",
                          {"topics": [], "responsePartitionLimit": 4, "cursor": cursor})
        page = [(topic["name"], partition["partitionIndex"])
                for topic in answer["topics"] for partition in topic["partitions"]]
        assert len(page) <= 4
        seen += page
        cursor = answer["nextCursor"]
        pages += 1
    assert seen == [(f"page-{number}", index) for number in range(5) for index in range(number + 1)]
    assert pages == 4


def test_a_deleted_topic_is_gone(make_node):
    node = make_node().start()
    topic = node.create_topic("gone", partitions=3)
    produce(node, topic, [b"v"])
    assert alter(node, TOPIC, topic, retention__ms=1000) == (0, None)
    answer = node.rpc("DeleteTopics:6", {"timeoutMs": 10000, "topics": [{"name": topic}]})
    assert answer["responses"][0]["errorCode"] == 0
    node.kill()
    node.start()
    assert node.rpc("ListConfigResources:1", {"resourceTypes": [TOPIC]})["configResources"] == []
    node.create_topic("gone")
    assert earliest(node, "gone") == 0 == offset(node, "gone", -1)
    assert describe(node, TOPIC, "gone", "retention.ms") == {"retention.ms": "604800000"}
