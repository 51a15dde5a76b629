"""Members of libottla in groups, alone and with members of Java and librdkafka, on Ottla and on Apache
Kafka, in both protocols: they come, go, stall and are killed; no record is lost, committed offsets never
go back, and who gets a partition begins where the one before it had committed."""
import os
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "cluster"), os.path.join(HERE, "..", "transcripts"),
                os.path.join(HERE, "..")]

from groups import QUICK, Group  # noqa: E402
from kafka_node import KafkaNode  # noqa: E402
from node import Node  # noqa: E402

SESSION_MS, HEARTBEAT_MS, SOON_S = 6000, 500, 30
SETTINGS = {"offsets__topic__replication__factor": 1, "group__initial__rebalance__delay__ms": 300,
            "group__consumer__min__session__timeout__ms": 1000,
            "group__consumer__session__timeout__ms": SESSION_MS,
            "group__consumer__min__heartbeat__interval__ms": 100,
            "group__consumer__heartbeat__interval__ms": HEARTBEAT_MS}
CONSUMER = {"group_protocol": "consumer", "session_timeout_ms": None, "heartbeat_interval_ms": None}
MODES = {"consumer": CONSUMER,
         "range": {"partition_assignment_strategy": "range"},
         "roundrobin": {"partition_assignment_strategy": "roundrobin"},
         "sticky": {"partition_assignment_strategy": "sticky"},
         "cooperative": {"partition_assignment_strategy": "cooperative-sticky"}}
LIVES = ["consumer", "range", "sticky", "cooperative"]
MIXED = ["consumer", "range", "roundrobin", "cooperative"]  # librdkafka has no sticky


@pytest.fixture(scope="module", params=[Node, KafkaNode], ids=["ottla", "kafka"])
def broker(request, tmp_path_factory):
    node = request.param(tmp_path_factory.mktemp("broker"), **SETTINGS).start()
    yield node
    assert node.stop() in (0, 143), node.log()


@pytest.fixture
def make_group(broker, tmp_path, request):
    groups = []

    def make(settings, partitions=6):
        name = request.node.name.translate(str.maketrans("[]", "--")).strip("-")
        group = Group(broker, name, partitions, tmp_path, **settings)
        group.settings = {key: value for key, value in group.settings.items() if value is not None}
        groups.append(group)
        return group

    yield make
    for group in groups:
        group.abandon()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", LIVES)
def test_members_come_go_stall_and_are_killed(make_group, mode):
    group = make_group(MODES[mode])
    group.live("libottla", timeout=SOON_S)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MIXED)
def test_three_clients_in_one_group(make_group, mode):
    """libottla, Java and librdkafka. Each leads once: the others come and go around it."""
    group = make_group(MODES[mode], 12)
    members = []
    for client in ["libottla", "java", "librdkafka"]:
        members.append(group.member(client))
        group.wait_shared(*members)
    for client in ["libottla", "librdkafka", "java"]:
        members.append(group.member(client))
        members.pop(0).stop()
        group.wait_shared(*members)
    members.pop(0).kill()
    group.wait_shared(*members, timeout=SOON_S)
    group.finish(*members)


@pytest.mark.timeout(300)
def test_sticky_members_keep_what_they_have(make_group):
    """Whoever of them leads reads what the other says it had."""
    group = make_group(MODES["sticky"], 12)
    members = []
    for client in ["libottla", "java", "libottla", "java"]:
        members.append(group.member(client))
        group.wait_shared(*members)
    for _ in range(2):
        stays = {member: set(member.mine) for member in members[1:]}
        members.pop(0).stop()
        group.wait_shared(*members)
        for member in members:
            assert stays[member] <= member.mine, f"{member.name} had {stays[member]}"
    group.finish(*members)


@pytest.mark.timeout(300)
def test_members_of_both_protocols_in_one_group(make_group):
    """The group becomes one of the consumer protocol with its first such member, and a classic one again
    when the last of them has gone."""
    group = make_group({}, 12)
    members = []
    for client, mode in [("libottla", "range"), ("java", "consumer"), ("libottla", "consumer"),
                         ("librdkafka", "range"), ("java", "range")]:
        group.settings = {key: value for key, value in {**QUICK, **MODES[mode]}.items()
                          if value is not None}
        members.append(group.member(client))
        group.wait_shared(*members)
    members.pop(1).stop()
    group.wait_shared(*members)
    members.pop(1).kill()
    group.wait_shared(*members, timeout=SOON_S)
    group.finish(*members)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["range", "cooperative", "consumer"])
def test_the_node_is_killed_in_mid_rebalance(tmp_path, mode):
    node = Node(tmp_path / "killed", **SETTINGS).start()
    group = Group(node, f"killed-{mode}", 12, tmp_path, **MODES[mode])
    group.settings = {key: value for key, value in group.settings.items() if value is not None}
    try:
        members = [group.member("libottla") for _ in range(2)]
        group.wait_shared(*members)
        for pause_s in (0.1, 0.6):
            members.append(group.member("libottla"))
            time.sleep(pause_s)
            node.kill()
            node.start()
            group.wait_shared(*members, timeout=90)
            members.pop(0).stop()
            group.wait_shared(*members, timeout=90)
        group.finish(*members)
    finally:
        group.abandon()
        if node.process.poll() is None:
            node.stop()
