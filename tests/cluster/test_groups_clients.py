"""Groups of many kinds and sizes: aiokafka and kafkajs for themselves, six libraries in one
group, a hundred members. No record is lost, committed offsets never go back."""
import time

import pytest

from crowd import Crowd

CLIENTS = ["aiokafka", "kafkajs", "kafka-python", "librdkafka", "java", "franz-go"]
HOSTS, MEMBERS_OF_HOST, PARTITIONS_OF_CROWD = 4, 25, 300


@pytest.mark.parametrize("client", ["aiokafka", "kafkajs"])
def test_members_come_go_stall_and_are_killed(groups_node, make_group, client):
    group = make_group(groups_node, f"life-{client}")
    first, second, third = (group.member(client) for _ in range(3))
    group.wait_shared(first, second, third)
    second.stop()
    group.wait_shared(first, third)
    third.stall()
    group.wait_shared(first)
    third.go_on()
    group.wait_shared(first, third)
    first.kill()
    group.wait_shared(third)
    group.finish(third)
    assert group.wait_for_state("Empty")["members"] == []


@pytest.mark.parametrize("strategy", ["range", "roundrobin"])
def test_six_libraries_in_one_group_whose_node_is_killed(make_node, make_group, strategy):
    """They leave one after the other, so that the leading goes from library to library."""
    node = make_node(group__initial__rebalance__delay__ms=300).start()
    group = make_group(node, f"six-{strategy}", 18, partition_assignment_strategy=strategy)
    members = []
    for client in CLIENTS:
        members.append(group.member(client))
        group.wait_shared(*members)
    described = group.wait_for_state("Stable")
    assert described["protocolData"] == strategy
    assert len(described["members"]) == len(CLIENTS)
    members.append(group.member("librdkafka"))
    group.wait_for_state("PreparingRebalance")
    node.kill()
    node.start()
    group.wait_shared(*members, timeout=90)
    while len(members) > 1:
        members.pop(0).stop()
        group.wait_shared(*members)
    group.finish(*members)


def wait_for_rebalance(group, protocol):
    if protocol == "classic":
        group.wait_for_state("PreparingRebalance")
        return
    deadline = time.monotonic() + 20
    state = None
    while state not in ("Assigning", "Reconciling"):
        assert time.monotonic() < deadline, state
        described = group.node.rpc("ConsumerGroupDescribe:1", {
            "groupIds": [group.name], "includeAuthorizedOperations": False})["groups"][0]
        state = described["groupState"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_hundred_members_share_three_hundred_partitions(make_node, make_group, protocol):
    # librdkafka 2.16 does not come back from an answer without brokers, which a node that got no
    # processor for its session timeout may give.
    node = make_node(broker__session__timeout__ms=60000,
                     group__initial__rebalance__delay__ms=1000,
                     group__consumer__min__session__timeout__ms=1000,
                     group__consumer__session__timeout__ms=10000,
                     group__consumer__min__heartbeat__interval__ms=500,
                     group__consumer__heartbeat__interval__ms=1000).start()
    group = make_group(node, "crowd", PARTITIONS_OF_CROWD)
    group.settings = {"session_timeout_ms": 10000, "heartbeat_interval_ms": 1000} \
        if protocol == "classic" else {"group_protocol": "consumer"}
    hosts = [Crowd(group, f"host-{number}", MEMBERS_OF_HOST) for number in range(HOSTS)]
    seats = [seat for host in hosts for seat in host.seats]
    group.wait_shared(*seats)
    stalled, killed = hosts[:2]
    stalled.stall()
    group.wait_shared(*(seat for seat in seats if seat.crowd is not stalled))
    stalled.go_on()
    group.wait_shared(*seats)
    killed.kill()
    wait_for_rebalance(group, protocol)
    node.kill()
    time.sleep(0.5)
    node.start()
    group.wait_shared(*(seat for seat in seats if seat.crowd is not killed), timeout=90)
    group.writer.stop()
    group.wait_all_read()
    for host in hosts:
        if host is not killed:
            host.stop()
    group.finish()
