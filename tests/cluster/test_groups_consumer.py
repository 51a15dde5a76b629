"""Groups of the consumer protocol (KIP-848) with real clients: members come, go, stall and are killed, and
so is the node; members of both protocols in one group, and the way from one to the other. No record is lost,
committed offsets never go back."""
import time

import pytest

from node import Node

CLIENTS = ["librdkafka", "java", "franz-go"]
OTHERS = ["java", "kafka-python", "aiokafka", "kafkajs"]  # of the classic protocol; most know no other
ASSIGNORS = ["uniform", "range"]
NODE = {"group__consumer__min__session__timeout__ms": 1000,
        "group__consumer__min__heartbeat__interval__ms": 100,
        "group__min__session__timeout__ms": 1000,
        "group__initial__rebalance__delay__ms": 300}
# The node's own are 45 s and 5 s: whatever is quick here is so because the group has settings.
SESSION_MS, HEARTBEAT_MS, SOON_S = 3000, 300, 25
NEW = {"group_protocol": "consumer"}
OLD = {"session_timeout_ms": SESSION_MS, "heartbeat_interval_ms": HEARTBEAT_MS,
       "partition_assignment_strategy": "range"}


@pytest.fixture(scope="module")
def consumer_node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("consumers"), **NODE,
                group__consumer__assignment__interval__ms=200).start()
    yield node
    assert node.stop() == 0, node.log()


def configure(group, **settings):
    """As kafka-configs --group does."""
    configs = [{"name": name.replace("_", "."), "configOperation": 0, "value": str(value)}
               for name, value in settings.items()]
    answer = group.node.rpc("IncrementalAlterConfigs:1", {"validateOnly": False, "resources": [
        {"resourceType": 32, "resourceName": group.name, "configs": configs}]})
    assert answer["responses"][0]["errorCode"] == 0, answer


@pytest.fixture
def make_consumers(make_group):
    """Groups whose members speak the consumer protocol, unless they are made otherwise."""
    def make(node, name, partitions=6, **settings):
        group = make_group(node, name, partitions)
        group.settings = {**NEW, **settings}
        configure(group, consumer_session_timeout_ms=SESSION_MS,
                  consumer_heartbeat_interval_ms=HEARTBEAT_MS)
        return group

    return make


def classic(group, client, **settings):
    """A member of the other protocol."""
    kept, group.settings = group.settings, OLD
    try:
        return group.member(client, **settings)
    finally:
        group.settings = kept


def describe(group):
    answer = group.node.rpc("ConsumerGroupDescribe:1", {
        "groupIds": [group.name], "includeAuthorizedOperations": False}, check=False)
    return answer["groups"][0] if isinstance(answer, dict) else None


def wait_for_state(group, *states, timeout=20):
    deadline = time.monotonic() + timeout
    while True:
        described = describe(group)
        if described is not None and described["groupState"] in states:
            return described
        assert time.monotonic() < deadline, f"{group.name} is {described}, not {states}"


def group_type(group):
    for listed in group.node.rpc("ListGroups:5", {"statesFilter": [], "typesFilter": []})["groups"]:
        if listed["groupId"] == group.name:
            return listed["groupType"]
    return None


def partitions_of(member, topic):
    """Those of a described member that are of this topic."""
    return sorted(partition for part in member["assignment"]["topicPartitions"]
                  if part["topicName"] == topic for partition in part["partitions"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_members_come_go_stall_and_are_killed(consumer_node, make_consumers, client):
    group = make_consumers(consumer_node, f"life-{client}")
    group.live(client, timeout=SOON_S)
    assert describe(group)["groupState"] == "Empty"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_clients_of_all_kinds_in_one_group(consumer_node, make_consumers, assignor):
    group = make_consumers(consumer_node, f"mixed-{assignor}", 12, group_remote_assignor=assignor)
    members = []
    for client in CLIENTS:
        members.append(group.member(client))
        group.wait_shared(*members)
    described = wait_for_state(group, "Stable")
    assert described["assignorName"] == assignor
    assert [member["memberType"] for member in described["members"]] == [1, 1, 1]
    for client, member in zip(reversed(CLIENTS), list(members)):
        members.remove(member)
        members.append(group.member(client))
        member.stop()
        group.wait_shared(*members)
    group.finish(*members)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_members_keep_what_they_have(consumer_node, make_consumers, client):
    group = make_consumers(consumer_node, f"sticky-{client}")
    first = group.member(client)
    group.wait_shared(first)
    second = group.member(client)
    group.wait_shared(first, second)
    revoked = [event for event in group.events
               if event.member is first and event.kind == "revoked"]
    assert sum(len(event.words) for event in revoked) == 3, revoked
    group.finish(first, second)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", ["librdkafka", "java"])
def test_a_static_member_comes_back_to_its_place(consumer_node, make_consumers, client):
    """franz-go takes its leave without its instance id, and Apache Kafka refuses that, too."""
    group = make_consumers(consumer_node, f"static-{client}")
    stays = group.member(client, group_instance_id="stays")
    comes = group.member(client, group_instance_id="comes")
    group.wait_shared(stays, comes)
    before = wait_for_state(group, "Stable")
    its, count = set(comes.mine), len(stays.last(100000))
    comes.stop()
    again = group.member(client, group_instance_id="comes")
    group.wait_shared(stays, again)
    assert again.mine == its
    assert all(event.kind not in ("assigned", "revoked", "lost")
               for event in stays.last(100000)[count:])
    after = wait_for_state(group, "Stable")
    assert before["groupEpoch"] == after["groupEpoch"]
    ids = [{member["instanceId"]: member["memberId"] for member in which["members"]}
           for which in (before, after)]
    assert ids[0]["stays"] == ids[1]["stays"] and ids[0]["comes"] != ids[1]["comes"]
    again.kill()
    group.wait_shared(stays, timeout=SOON_S)  # it did not say that it comes back
    group.finish(stays)


@pytest.mark.timeout(300)
def test_settings_of_a_group_change_while_it_works(consumer_node, make_consumers):
    group = make_consumers(consumer_node, "settings")
    stays, stalls = members = [group.member("librdkafka"), group.member("java")]
    group.wait_shared(*members)
    configure(group, consumer_session_timeout_ms=40000)
    time.sleep(1)  # three heartbeats
    stalls.stall()
    time.sleep(SESSION_MS / 1000 + 2)
    assert len(stays.mine) == len(stalls.mine) == group.partitions // 2
    stalls.go_on()
    configure(group, consumer_session_timeout_ms=1000)
    time.sleep(1)
    stalls.kill()
    group.wait_shared(stays, timeout=SOON_S)
    group.finish(stays)


@pytest.mark.timeout(300)
def test_topics_change_under_an_expression(consumer_node, make_consumers):
    """Who has a topic is asked of the coordinator: members do not say topics."""
    group = make_consumers(consumer_node, "pattern")
    group.subscribed = f"^{group.topic}(-more)?$"
    members = [group.member(CLIENTS[0])]
    group.wait_shared(*members)
    more = group.node.create_topic(f"{group.topic}-more", 3)
    group.node.create_topic(f"{group.topic}-else", 1)
    # No two clients send quite the same; what is new is looked at after at most ten seconds.
    members += [group.member(client) for client in CLIENTS[1:]]

    def wait_until_shared(count):
        deadline = time.monotonic() + 40
        while True:
            described = wait_for_state(group, "Stable")
            taken = [(partitions_of(member, group.topic), partitions_of(member, more))
                     for member in described["members"]]
            sizes = [len(old) + len(new) for old, new in taken]
            if (sorted(sum((new for _, new in taken), [])) == list(range(count))
                    and sum(sizes) == group.partitions + count and max(sizes) - min(sizes) <= 1):
                return described
            assert time.monotonic() < deadline, described
            time.sleep(0.1)

    described = wait_until_shared(3)
    assert all(group.subscribed in member["subscribedTopicRegex"]
               for member in described["members"])
    assert {topic["topicName"] for member in described["members"]
            for topic in member["assignment"]["topicPartitions"]} == {group.topic, more}
    group.node.rpc("CreatePartitions:3", {
        "topics": [{"name": more, "count": 6, "assignments": None}], "timeoutMs": 5000,
        "validateOnly": False})
    wait_until_shared(6)
    group.node.rpc("DeleteTopics:5", {"topicNames": [more], "timeoutMs": 5000})
    wait_until_shared(0)
    group.finish(*members)


@pytest.mark.timeout(420)
def test_a_group_moves_to_the_consumer_protocol_and_back(consumer_node, make_consumers):
    """As users roll out a new setting: one member after the other is stopped and started again."""
    group = make_consumers(consumer_node, "migration", 12)
    members = [classic(group, client) for client in ("java", "librdkafka", "franz-go")]
    members.append(classic(group, "kafka-python"))
    group.wait_shared(*members)
    assert group_type(group) == "classic"
    for client in CLIENTS:
        members.pop(0).stop()
        members.append(group.member(client))
        group.wait_shared(*members)
        assert group_type(group) == "consumer"
    kinds = [member["memberType"] for member in wait_for_state(group, "Stable")["members"]]
    assert sorted(kinds) == [0, 1, 1, 1]
    for client in CLIENTS:
        members[1].stop()
        del members[1]
        members.append(classic(group, client))
        group.wait_shared(*members)
    assert group_type(group) == "classic"
    group.finish(*members)


@pytest.mark.timeout(300)
def test_members_of_both_protocols_stall_and_are_killed(consumer_node, make_consumers):
    group = make_consumers(consumer_node, "both", 14)
    old = [classic(group, client) for client in OTHERS]
    new = [group.member(client) for client in CLIENTS]
    group.wait_shared(*old, *new)
    stalled = old[1:] + new[:1]
    for member in stalled:
        group.wait_reading(member)
        member.stall()
    group.wait_shared(old[0], *new[1:], timeout=SOON_S)
    for member in stalled:
        member.go_on()
    group.wait_shared(*old, *new)
    for member in old[1:3] + new[1:]:
        member.kill()
    group.wait_shared(old[0], old[3], new[0], timeout=SOON_S)
    new[0].kill()
    group.wait_shared(old[0], old[3], timeout=SOON_S)
    assert group_type(group) == "classic"
    group.finish(old[0], old[3])


@pytest.mark.timeout(420)
@pytest.mark.parametrize("others", [0, 2])
def test_the_node_is_killed_in_mid_rebalance(make_node, make_consumers, others):
    """Also with members of the classic protocol among them."""
    node = make_node(**NODE).start()
    group = make_consumers(node, "killed", 12)
    members = [group.member(client) for client in CLIENTS]
    members += [classic(group, client) for client in ("java", "librdkafka")[:others]]
    group.wait_shared(*members)
    for state, stalled in (("Assigning", 0), ("Reconciling", 1)):
        members[stalled].stall()
        members.append(group.member("librdkafka"))
        wait_for_state(group, state)
        node.kill()
        members[stalled].go_on()
        node.start()
        group.wait_shared(*members, timeout=90)
        members.pop(0).stop()
        group.wait_shared(*members, timeout=90)
    group.finish(*members)
