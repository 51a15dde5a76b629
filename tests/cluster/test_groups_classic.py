"""Groups of the classic protocol with real clients: members come, go, stall and are killed, and so is the
node. No record is lost, committed offsets never go back."""
import base64
import json
import struct
import subprocess
import time

import pytest

from node import OTTLA, Node

CLIENTS = ["kafka-python", "librdkafka", "java", "franz-go"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_members_come_go_stall_and_are_killed(groups_node, make_group, client):
    group = make_group(groups_node, f"life-{client}")
    group.live(client)
    assert group.wait_for_state("Empty")["members"] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("strategy, clients", [
    ("range", CLIENTS), ("roundrobin", CLIENTS),
    ("cooperative-sticky", ["java", "librdkafka", "franz-go"])])
def test_clients_of_all_kinds_in_one_group(groups_node, make_group, strategy, clients):
    group = make_group(groups_node, f"mixed-{strategy}", 12,
                       partition_assignment_strategy=strategy)
    members = []
    for client in clients:
        members.append(group.member(client))
        group.wait_shared(*members)
    described = group.wait_for_state("Stable")
    assert described["protocolData"] == strategy
    assert len(described["members"]) == len(clients)
    for member in list(members):
        members.remove(member)
        members.append(group.member(clients[0]))
        group.wait_for_state("Stable")
        member.stop()
        group.wait_shared(*members)
    group.finish(*members)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_cooperative_members_keep_what_they_have(groups_node, make_group, client):
    group = make_group(groups_node, f"cooperative-{client}",
                       partition_assignment_strategy="cooperative-sticky")
    first = group.member(client)
    group.wait_shared(first)
    second = group.member(client)
    group.wait_shared(first, second)
    revoked = [event for event in group.events
               if event.member is first and event.kind == "revoked"]
    assert sum(len(event.words) for event in revoked) == 3, revoked
    group.finish(first, second)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_static_member_comes_back_to_its_place(groups_node, make_group, client):
    group = make_group(groups_node, f"static-{client}", session_timeout_ms=20000)
    stays = group.member(client, group_instance_id="stays")
    comes = group.member(client, group_instance_id="comes")
    group.wait_shared(stays, comes)
    generation = group.wait_for_state("Stable")
    its, count = set(comes.mine), len(stays.last(1000))
    comes.kill()
    again = group.member(client, group_instance_id="comes")
    group.wait_shared(stays, again)
    assert again.mine == its
    assert all(event.kind not in ("assigned", "revoked", "lost")
               for event in stays.last(100000)[count:])
    described = group.wait_for_state("Stable")
    ids = [{member["groupInstanceId"]: member["memberId"] for member in which["members"]}
           for which in (generation, described)]
    assert ids[0]["stays"] == ids[1]["stays"] and ids[0]["comes"] != ids[1]["comes"]
    group.finish(stays, again)


def bring_to_preparing(group, members):
    members.append(group.member("librdkafka"))
    group.wait_for_state("PreparingRebalance")


def bring_to_completing(group, members):
    """All have joined again but one, and then all but that one stand still, the leader among them."""
    *others, last = members
    last.stall()
    bring_to_preparing(group, members)
    others.append(members[-1])
    time.sleep(2)  # four heartbeats
    for member in others:
        member.stall()
    last.go_on()
    group.wait_for_state("CompletingRebalance")


@pytest.mark.timeout(420)
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_the_node_is_killed_in_mid_rebalance(make_node, make_group, strategy):
    clients = CLIENTS if strategy == "range" else ["java", "librdkafka", "franz-go"]
    node = make_node(group__initial__rebalance__delay__ms=300).start()
    group = make_group(node, "killed", 12, partition_assignment_strategy=strategy)
    members = []
    for client in clients:
        members.append(group.member(client))
        group.wait_shared(*members)
    for bring in (bring_to_preparing, bring_to_completing):
        bring(group, members)
        node.kill()
        for member in members:
            member.go_on()
        node.start()
        group.wait_shared(*members, timeout=90)
        members.pop(0).stop()
        group.wait_shared(*members, timeout=90)
    group.finish(*members)


# --- many members, by hand ---

UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED = 25, 27, 79


class Connection:
    """One connection, requests in JSON."""

    def __init__(self, node):
        self.process = subprocess.Popen([OTTLA, "rpc", node.bootstrap, "--script", "-"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, api, **request):
        self.process.stdin.write(f"{api} {json.dumps(request)}\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())["answer"]

    def ask(self, api, **request):
        self.send(api, **request)
        return self.receive()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def encoded(*parts):
    return base64.b64encode(b"".join(parts)).decode()


def join_request(group, member_id):
    subscription = encoded(struct.pack(">hih", 0, 1, 1), b"t", struct.pack(">i", -1))
    return {"groupId": group, "sessionTimeoutMs": 30000, "rebalanceTimeoutMs": 30000,
            "memberId": member_id, "groupInstanceId": None, "protocolType": "consumer",
            "protocols": [{"name": "range", "metadata": subscription}], "reason": None}


def wait_for_coordinator(node, group):
    deadline = time.monotonic() + 20
    while node.rpc("FindCoordinator:4", {"keyType": 0, "coordinatorKeys": [group]})[
            "coordinators"][0]["errorCode"] != 0 or node.rpc(
                "DescribeGroups:5", {"groups": [group]})["groups"][0]["errorCode"] != 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def connect():
    made = []

    def make(node):
        made.append(Connection(node))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def join_all(members, ids):
    for member, member_id in zip(members, ids):
        member.send("JoinGroup:9", **join_request("crowd", member_id))
    answers = [member.receive() for member in members]
    assert {answer["errorCode"] for answer in answers} == {0}
    assert len({answer["generationId"] for answer in answers}) == 1
    return answers


def sync_all(members, joined):
    """The leader gives everybody three partitions; returns what each was told."""
    parts = {answer["memberId"]: encoded(struct.pack(">iii", 3 * i, 3 * i + 1, 3 * i + 2))
             for i, answer in enumerate(joined)}
    for member, answer in zip(members, joined):
        leads = answer["memberId"] == answer["leader"]
        assert len(answer["members"]) == (len(members) if leads else 0)
        member.send("SyncGroup:5", groupId="crowd", generationId=answer["generationId"],
                    memberId=answer["memberId"], groupInstanceId=None, protocolType="consumer",
                    protocolName="range",
                    assignments=[{"memberId": member_id, "assignment": part}
                                 for member_id, part in parts.items()] if leads else [])
    for member, answer in zip(members, joined):
        told = member.receive()
        assert told["errorCode"] == 0 and told["assignment"] == parts[answer["memberId"]]


def beat(member, answer):
    return member.ask("Heartbeat:4", groupId="crowd", generationId=answer["generationId"],
                      memberId=answer["memberId"], groupInstanceId=None)["errorCode"]


@pytest.mark.timeout(120)
def test_a_hundred_members_on_three_hundred_partitions(groups_node, connect):
    wait_for_coordinator(groups_node, "crowd")
    members = [connect(groups_node) for _ in range(100)]
    ids = []
    for member in members:
        answer = member.ask("JoinGroup:9", **join_request("crowd", ""))
        assert answer["errorCode"] == MEMBER_ID_REQUIRED
        ids.append(answer["memberId"])
    joined = join_all(members, ids)
    sync_all(members, joined)
    assert {beat(*pair) for pair in zip(members, joined)} == {0}
    gone = members.pop(), joined.pop()
    gone[0].ask("LeaveGroup:5", groupId="crowd", members=[
        {"memberId": gone[1]["memberId"], "groupInstanceId": None, "reason": "enough"}])
    assert {beat(*pair) for pair in zip(members, joined)} == {REBALANCE_IN_PROGRESS}
    assert beat(*gone) == UNKNOWN_MEMBER_ID
    started = time.monotonic()
    again = join_all(members, [answer["memberId"] for answer in joined])
    sync_all(members, again)
    assert time.monotonic() - started < 10
    assert {beat(*pair) for pair in zip(members, again)} == {0}


@pytest.mark.timeout(120)
def test_ids_that_nobody_comes_back_with_are_bounded(groups_node, connect):
    """base/limits.h: GROUP_PENDING_MEMBERS_MAX; the oldest goes."""
    wait_for_coordinator(groups_node, "flood")
    client = connect(groups_node)
    ids = [client.ask("JoinGroup:9", **join_request("flood", ""))["memberId"]
           for _ in range(10001)]
    assert len(set(ids)) == 10001
    first = client.ask("JoinGroup:9", **join_request("flood", ids[0]))
    assert first["errorCode"] == UNKNOWN_MEMBER_ID
    client.send("JoinGroup:9", **join_request("flood", ids[-1]))  # waits for the others
    other = connect(groups_node)
    assert other.ask("DescribeGroups:5", groups=["flood"])["groups"][0]["groupState"] in (
        "PreparingRebalance", "CompletingRebalance")
