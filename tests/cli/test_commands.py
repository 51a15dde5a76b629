"""Ottla's own commands, as scripts and people use them, on Ottla and on Apache Kafka."""
import json
import os
import signal
import socket
import struct
import subprocess
import time

import pytest
from conftest import Commands
from crc32c import crc32c
from node import OTTLA, Node
from raw import varint
from transactions import Transactions, has_apis

USAGE, NOT_FOUND, UNREACHABLE, PARTLY, INTERRUPTED = 2, 3, 4, 5, 130
FAILED = 1


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return result


def fill(ottla, topic, count=10, partition=0, prefix="value"):
    ottla.run("produce", topic, "-p", partition,
              input="".join(f"{prefix}-{n}\n" for n in range(count)))


def values(ottla, topic, *words):
    return ottla.out("consume", topic, "-e", *words).splitlines()


# --- topics ---------------------------------------------------------------------------------------

def test_topic_create_list_describe_delete(ottla):
    names = ["life-a", "life-b"]
    assert ottla.table("topic", "create", *names, "-p", 2, "-r", 1, "-c", "retention.ms=1000") == [
        ["TOPIC", "PARTITIONS", "REPLICAS", "RESULT"],
        ["life-a", "2", "1", "created"], ["life-b", "2", "1", "created"]]
    assert [row["topic"] for row in ottla.json("topic", "list", "life-*")] == names
    assert ottla.table("topic", "list", "life-?")[1] == ["life-a", "2", "1", "0", "0"]
    rows = ottla.json("topic", "describe", "life-a")
    assert [(row["topic"], row["partition"], row["leader"], row["replicas"], row["isr"],
             row["offline"], row["state"]) for row in rows] \
        == [("life-a", n, 1, [1], [1], [], "ok") for n in range(2)]
    assert len(rows[0]["id"]) == 22
    assert ottla.json("topic", "describe", *names, "--troubled") == []
    assert ottla.table("topic", "describe", "life-b")[0][:3] == ["TOPIC", "PARTITION", "LEADER"]
    deleted = ottla.json("topic", "delete", *names)
    assert [(row["topic"], row["result"]) for row in deleted] == [(n, "deleted") for n in names]
    wait_for(lambda: ottla.json("topic", "list", "life-*") == [])


def test_topics_that_are_there_or_are_not(ottla, topic):
    run = ottla.run("topic", "create", topic, code=FAILED)
    assert "TOPIC_ALREADY_EXISTS" in run.stderr and run.stderr.startswith("ottla topic create: ")
    ottla.run("topic", "create", topic, "--if-not-exists")
    rows = ottla.json("topic", "create", topic, topic + "-more", code=PARTLY)
    assert {row["topic"]: row["result"] for row in rows} \
        == {topic: "TOPIC_ALREADY_EXISTS", topic + "-more": "created"}
    assert "topic list" in ottla.run("topic", "describe", "nowhere", code=NOT_FOUND).stderr
    rows = ottla.json("topic", "describe", topic, "nowhere", code=PARTLY)
    assert {row["topic"] for row in rows} == {topic}
    ottla.run("topic", "delete", "nowhere", code=NOT_FOUND)
    ottla.run("topic", "delete", "nowhere", "--if-exists")
    ottla.run("topic", "create", "bad/name", code=FAILED)
    ottla.run("topic", "create", topic + "-r", "-r", 9, code=FAILED)
    ottla.run("topic", "create", topic + "-c", "-c", "retention.ms=soon", code=FAILED)
    ottla.run("topic", "create", topic + "-c", "-c", "retention.ms", code=USAGE)
    ottla.run("topic", "create", topic + "-p", "-p", 2 ** 32 + 3, code=USAGE)
    ottla.run("topic", "create", topic + "-p", "-r", 2 ** 16 + 1, code=USAGE)


def test_topic_create_where_its_replicas_live(ottla, topic):
    ottla.run("topic", "create", topic + "-a", "--assignment", "1,1,1,1")
    assert len(ottla.json("topic", "describe", topic + "-a")) == 4
    ottla.run("topic", "create", topic + "-b", "--assignment", "1,,1", code=USAGE)
    ottla.run("topic", "create", topic + "-b", "--assignment", "7", code=FAILED)


def test_topic_alter(ottla, topic):
    dry = ottla.json("topic", "alter", topic, "-p", 5, "--dry-run")
    assert [(row["topic"], row["result"]) for row in dry] == [(topic, "would be altered")]
    assert len(ottla.json("topic", "describe", topic)) == 3
    assert ottla.json("topic", "alter", topic, "-p", 5)[0]["result"] == "altered"
    assert wait_for(lambda: len(ottla.json("topic", "describe", topic)) == 5)
    assert "INVALID_PARTITIONS" in ottla.run("topic", "alter", topic, "-p", 2, code=FAILED).stderr
    ottla.run("topic", "alter", topic, "nowhere", "-p", 6, code=PARTLY)
    ottla.run("topic", "alter", topic, code=USAGE)
    ottla.run("topic", "alter", topic, "-p", 7, "--assignment", "1")
    ottla.run("topic", "alter", topic, "-p", 8, "--assignment", "x", code=USAGE)


def test_topic_trim(ottla, topic):
    for partition in range(2):
        fill(ottla, topic, 10, partition)
    words = ["topic", "trim", topic]

    def starts(*to, **options):
        return [(row["start"], row["end"], row["result"])
                for row in ottla.json(*words, "--to", *to, **options)]

    assert starts("+4", "--dry-run") == [(4, 10, "would be trimmed"), (4, 10, "would be trimmed"),
                                         (0, 0, "would be trimmed")]
    assert len(values(ottla, topic)) == 20
    assert starts("+4") == [(4, 10, "trimmed"), (4, 10, "trimmed"), (0, 0, "trimmed")]
    assert starts("-3")[0] == (7, 10, "trimmed")
    assert values(ottla, topic + ":0") == ["value-7", "value-8", "value-9"]
    rows = ottla.json("topic", "trim", topic + ":1", "--to", "9")
    assert [(row["partition"], row["start"]) for row in rows] == [(1, 9)]
    assert starts("now", "--dry-run")[:2] == [(10, 10, "would be trimmed")] * 2
    assert starts("latest")[0] == (10, 10, "trimmed")
    assert values(ottla, topic) == []
    ottla.run(*words, "--to", "99", code=FAILED)
    ottla.run(*words, "--to", "somewhere", code=USAGE)
    ottla.run(*words, code=USAGE)
    ottla.run("topic", "trim", "nowhere", "--to", "latest", code=NOT_FOUND)
    ottla.run("config", "set", f"topic/{topic}", "cleanup.policy=compact")
    run = ottla.run("topic", "trim", topic + ":0", "--to", "latest", code=FAILED)
    assert "cleanup.policy" in run.stderr


def test_dry_runs_of_topics_change_nothing(ottla, topic):
    dry = ottla.json("topic", "create", topic + "-dry", "--dry-run")
    assert dry[0]["result"] == "would be created"
    ottla.run("topic", "create", topic, "--dry-run", code=FAILED)
    ottla.run("topic", "describe", topic + "-dry", code=NOT_FOUND)
    assert "would be deleted" in ottla.run("topic", "delete", topic, "--dry-run").stderr
    assert len(ottla.json("topic", "describe", topic)) == 3
    run = ottla.run("produce", topic, "-V", "x", "--dry-run")
    assert "nothing was sent" in run.stderr and values(ottla, topic) == []


# --- settings -------------------------------------------------------------------------------------

def test_config(ottla, topic):
    of = f"topic/{topic}"
    rows = ottla.json("config", "set", of, "retention.ms=1000", "cleanup.policy+=compact")
    assert [(row["key"], row["change"], row["value"]) for row in rows] == [
        ("retention.ms", "set", "1000"), ("cleanup.policy", "added", "compact")]

    def mine():
        return {row["key"]: row["value"] for row in ottla.json("config", "get", of)
                if row["source"] == "topic"}

    assert wait_for(lambda: len(mine()) == 2 and mine()) \
        == {"retention.ms": "1000", "cleanup.policy": "delete,compact"}
    assert ottla.json("config", "get", of, "retention.ms")[0]["source"] == "topic"
    ottla.run("config", "set", of, "cleanup.policy-=compact")
    wait_for(lambda: mine().get("cleanup.policy") == "delete")
    ottla.run("config", "set", of, "retention.ms=7", "--dry-run")
    ottla.run("config", "unset", of, "retention.ms", "--dry-run")
    assert mine()["retention.ms"] == "1000"
    ottla.run("config", "unset", of, "retention.ms", "cleanup.policy")
    assert wait_for(lambda: mine() == {})
    assert "  from default" in ottla.out("config", "get", of, "retention.ms", "--explain")
    assert len(ottla.json("config", "get", of, "--all")) > 20
    listed = ottla.json("config", "list", "topic")
    assert {"resource": of} in [{"resource": row["resource"]} for row in listed]


def test_config_replace_resets_everything_else(ottla, topic):
    of = f"topic/{topic}"
    ottla.run("config", "set", of, "retention.ms=1000", "segment.bytes=2000000")
    ottla.run("config", "replace", of, "retention.ms=5000", "--dry-run")
    ottla.run("config", "replace", of, "retention.ms=5000")
    wait_for(lambda: {row["key"]: row["value"] for row in ottla.json("config", "get", of)
                      if row["source"] == "topic"} == {"retention.ms": "5000"})


def test_config_of_other_things(ottla, topic):
    wait_for(lambda: ottla.json("config", "get", "broker/1", "--all"))
    row = ottla.json("config", "get", f"topic/{topic}", "segment.bytes", "--explain")[0]
    assert row["synonyms"] and row["synonyms"][-1]["source"] == "default"
    assert "documentation" in row
    ottla.run("config", "set", f"group/{topic}", "consumer.heartbeat.interval.ms=700")
    wait_for(lambda: ottla.json("config", "get", f"group/{topic}"))
    row = ottla.json("config", "get", f"group/{topic}", "consumer.heartbeat.interval.ms")[0]
    assert (row["value"], row["source"]) == ("700", "group")
    ottla.run("config", "unset", f"group/{topic}", "consumer.heartbeat.interval.ms")
    ottla.run("config", "set", "broker/", "log.cleaner.threads=1")
    wait_for(lambda: ottla.json("config", "get", "broker/"))
    ottla.run("config", "unset", "broker/", "log.cleaner.threads")


def test_what_is_late_says_what_it_waits_for(ottla):
    run = ottla.run("config", "set", "broker/77", "log.retention.ms=5", "--timeout", 2,
                    code=UNREACHABLE)
    assert "broker 77" in run.stderr


def test_config_mistakes(ottla, topic):
    ottla.run("config", "get", "orders", code=USAGE)
    ottla.run("config", "get", "topic/nowhere", code=NOT_FOUND)
    ottla.run("config", "get", f"topic/{topic}", "no.such.key", code=NOT_FOUND)
    ottla.run("config", "set", f"topic/{topic}", "retention.ms", code=USAGE)
    ottla.run("config", "unset", f"topic/{topic}", "retention.ms=1", code=USAGE)
    run = ottla.run("config", "set", f"topic/{topic}", "retention.ms=soon", code=FAILED)
    assert "retention.ms" in run.stderr
    ottla.run("config", "list", "planet", code=USAGE)


# --- the cluster ----------------------------------------------------------------------------------

def test_cluster(ottla, broker):
    info = ottla.json("cluster", "info")
    assert len(info["clusterId"]) == 22 and info["nodes"][0]["port"] == broker.port
    assert info["clusterId"] in ottla.out("cluster", "info")
    quorum = ottla.json("cluster", "quorum")
    assert (quorum["leader"], quorum["replicas"][0]["role"]) == (1, "leader")
    assert quorum["highWatermark"] > 0
    assert "leader 1" in ottla.out("cluster", "quorum")
    features = {row["feature"]: row for row in ottla.json("cluster", "features")}
    assert features["metadata.version"]["finalized"] > 0
    assert ottla.table("cluster", "features")[0][0] == "FEATURE"
    dirs = ottla.json("cluster", "dirs")
    assert dirs[0]["path"] == broker.settings["log.dirs"] and dirs[0]["state"] == "online"
    assert dirs[0]["totalBytes"] > dirs[0]["bytes"]
    assert ottla.table("cluster", "dirs")[0][:2] == ["BROKER", "DIRECTORY"]


def test_cluster_doctor(ottla, broker):
    assert ottla.run("cluster", "doctor").stdout
    rows = ottla.json("cluster", "doctor", "-b", "PLAINTEXT://" + broker.bootstrap)
    assert [row["verdict"] for row in rows if row["check"] == "bootstrap"] == ["ok"]
    run = ottla.run("cluster", "doctor", "-b", "no-such-host.invalid:9092", code=UNREACHABLE)
    assert "no-such-host.invalid" in run.stdout + run.stderr


# --- producing and consuming ----------------------------------------------------------------------

def test_produce_and_consume_lines(ottla, topic):
    run = ottla.run("produce", topic, "-p", 0, input="one\ntwo\n\nfour")
    assert "4 records acknowledged, 0 failed" in run.stderr and run.stdout == ""
    assert values(ottla, topic) == ["one", "two", "", "four"]
    assert ottla.run("produce", topic, "-q", "-V", "five").stderr == ""


def test_produce_every_form_of_input(ottla, topic, tmp_path):
    ottla.run("produce", topic, "-p", 0, "-K", ":", input="k:v\nnone\nk:a:b\n:empty\n")
    assert ottla.out("consume", topic + ":0", "-e", "-f", "%K|%k|%v\\n").splitlines() \
        == ["1|k|v", "-1||none", "1|k|a:b", "0||empty"]
    ottla.run("produce", topic, "-p", 1, "-D", ";;", input="a;b;;c\n;;d")
    assert ottla.out("consume", topic + ":1", "-e", "-f", "<%v>") == "<a;b><c\n><d>"
    (tmp_path / "one").write_bytes(b"a\nb\0c")
    (tmp_path / "two").write_bytes(b"")
    ottla.run("produce", topic, tmp_path / "one", tmp_path / "two", "-w", "-p", 2, "-k", "f")
    assert ottla.out("consume", topic + ":2", "-e", "-f", "%k=%V,") == "f=5,f=0,"
    then = int(time.time() * 1000) - 1000
    ottla.run("produce", topic, "-p", 2, "-V", "from", "-V", "arguments", "--timestamp", then,
              "-H", "a=1", "-H", "b=", "-H", "a=2", "-z", "zstd")
    assert ottla.out("consume", topic + ":2", "-r", "2:", "-e", "-f", "%v %T %h %o %p %t\\n") \
        == "".join(f"{v} {then} a=1,b=,a=2 {o} 2 {topic}\n" for o, v in ((2, "from"),
                                                                         (3, "arguments")))


def test_lines_that_are_typed_go_at_once(ottla, topic):
    typing = ottla.start("produce", topic, "-p", 0)
    for number in range(2):
        typing.stdin.write(b"line\n")
        typing.stdin.flush()
        wait_for(lambda: len(values(ottla, topic + ":0")) == number + 1, 10)
    assert b"2 records acknowledged" in typing.communicate(timeout=10)[1]


def test_what_was_typed_before_an_interruption_is_sent(ottla, topic):
    typing = ottla.start("produce", topic, "-p", 0, "-X", "linger.ms=60000")
    typing.stdin.write(b"one\ntwo\nhalf")
    typing.stdin.flush()
    time.sleep(1)
    typing.send_signal(signal.SIGINT)
    assert b"2 records acknowledged" in typing.communicate(timeout=10)[1]
    assert typing.returncode == INTERRUPTED
    assert values(ottla, topic + ":0") == ["one", "two"]


def test_tombstones(ottla, topic):
    ottla.run("produce", topic, "-p", 0, "-V", "", "-k", "gone", "-Z")
    ottla.run("produce", topic, "-p", 0, "-V", "", "-k", "empty")
    assert ottla.out("consume", topic, "-e", "-f", "%k %V\\n") == "gone -1\nempty 0\n"
    assert [record["value"] for record in ottla.lines("consume", topic, "-e")] == [None, ""]


def test_json_goes_round(ottla, topic):
    binary = "\\xff\\x00\\xfe"
    ottla.run("produce", topic, "-p", 0, "-V", "text \"quoted\"\n", "-k", "schlüssel",
              "-H", "h=ä")
    ottla.run("produce", topic, "-p", 1, "-K", binary, text=False,
              input=b"\xff\x01" + b"\xff\x00\xfe" + b"\x80value\n")
    ottla.run("produce", topic, "-p", 2, "-V", "", "-Z")
    before = ottla.lines("consume", topic, "-e")
    assert {"keyBase64": "/wE=", "valueBase64": "gHZhbHVl"}.items() \
        <= next(r for r in before if r["partition"] == 1).items()
    ottla.run("topic", "create", topic + "-copy", "-p", 3)
    ottla.run("produce", topic + "-copy", "--json",
              input=ottla.out("consume", topic, "-e", "-o", "json"))
    after = ottla.lines("consume", topic + "-copy", "-e")

    def plain(records):
        return sorted(json.dumps({**record, "topic": "", "leaderEpoch": 0}, sort_keys=True)
                      for record in records)

    assert plain(before) == plain(after) and len(after) == 3
    ottla.run("produce", topic, "-j", "-p", 0, input='{"value": {"a": 1}, "key": 5}\n\n')
    assert ottla.out("consume", topic + ":0", "-r", "-1", "-e", "-k") == '5\t{"a":1}\n'


def test_json_that_is_no_record(ottla, topic):
    for line in ["{", "[]", '{"partition": "x"}', '{"headers": 1}', '{"keyBase64": "*"}',
                 '{"headers": [{"value": "x"}]}', '{"partition": 4294967296}']:
        run = ottla.run("produce", topic, "-j", input=line + "\n", code=FAILED)
        assert "record 1: " in run.stderr, line


def test_deliveries_as_json(ottla, topic):
    rows = ottla.lines("produce", topic, "-p", 1, input="a\nb\n")
    assert [(r["topic"], r["partition"], r["offset"], r["result"]) for r in rows] \
        == [(topic, 1, 0, "OK"), (topic, 1, 1, "OK")]


def test_produce_to_where_it_cannot_go(ottla, topic):
    run = ottla.run("produce", "nowhere", "-V", "x", code=NOT_FOUND)
    assert "ottla topic create nowhere" in run.stderr
    run = ottla.run("produce", topic, "-V", "x", "-p", 3, code=NOT_FOUND)
    assert f"{topic} has 3 partitions" in run.stderr
    ottla.run("produce", topic, "-j", "-X", "max.block.ms=1000",
              input='{"value": "x", "partition": 99}', code=NOT_FOUND)
    ottla.run("config", "set", f"topic/{topic}", "max.message.bytes=200")
    time.sleep(0.2)
    run = ottla.run("produce", topic, "-p", 0, "-X", "batch.size=1",
                    input="short\n" + "x" * 1000 + "\nshort\n", code=PARTLY)
    assert "2 records acknowledged, 1 failed" in run.stderr
    assert values(ottla, topic) == ["short", "short"]
    ottla.run("produce", topic, "/no/such/file", code=FAILED)
    ottla.run("produce", topic, "-V", "x", "-z", "rar", code=USAGE)
    ottla.run("produce", topic, "-V", "x", "-H", "no-value", code=USAGE)


@pytest.mark.parametrize("words, expected", [
    (["-r", "2:5"], [2, 3, 4]), (["-r", "8:"], [8, 9]), (["-r", ":2"], [0, 1]),
    (["-r", "+2"], [0, 1]), (["-r", "-2"], [8, 9]),
    (["--from", "earliest", "--to", "3"], [0, 1, 2]), (["--from", "latest"], []),
    (["--from", "-3", "--to", "-1"], [7, 8]), (["--from", "+7"], [7, 8, 9]),
    (["--from", "5", "-n", "2"], [5, 6]), (["-n", "1"], [0]), (["-n", "0"], []),
    (["-r", "@1970-01-01T00:00:04:1970-01-01T00:00:06"], [4, 5]),
    (["-r", "@1970-01-01T00:00:07Z:"], [7, 8, 9]),
    (["--from", "1970-01-01T00:00:08"], [8, 9]), (["--from", "1h-ago"], []),
    (["--from", "7", "--to", "99"], [7, 8, 9]), (["--to", "latest"], list(range(10))),
    (["--from", "99"], []),
])
def test_ranges(ottla, broker, words, expected):
    topic = "ranges"
    if not ottla.json("topic", "list", topic):
        ottla.run("topic", "create", topic, "-p", 1, "-c", "retention.ms=-1")
        ottla.run("produce", topic, "-j", input="".join(
            json.dumps({"value": str(n), "timestamp": 1000 * n, "partition": 0}) + "\n"
            for n in range(10)))
    assert list(map(int, values(ottla, topic, *words))) == expected


def test_a_range_that_ends_needs_no_exit_flag(ottla, topic):
    fill(ottla, topic)
    assert len(ottla.out("consume", topic + ":0", "-r", ":4").splitlines()) == 4
    assert len(ottla.out("consume", topic, "--to", "latest").splitlines()) == 10


def test_consume_mistakes(ottla, topic):
    for words in [["-r", "x"], ["--from", "somewhere"], ["--to", "1h"], ["-r", "1:2", "--to", "3"],
                  ["-f", "%y"], ["-f", "\\q"], ["-n", "many"], ["-n", "-5"], ["--timeout", "0"],
                  ["--regex"], ["--timeout", "99999999999999"], ["--from", "2026-02-30"],
                  ["-g", ""], ["-g", "g", "--to", "5"], ["-g", "g", "--from", "5"], ["-o", "xml"],
                  ["-X", "no.such.setting=1"], ["-X", "fetch.min.bytes"], ["--no-such-flag"]]:
        run = ottla.run("consume", topic, *words, code=USAGE)
        assert run.stderr.startswith("ottla consume: ") and run.stdout == "", words
    ottla.run("consume", code=USAGE)
    ottla.run("consume", "nowhere", "-e", code=NOT_FOUND)
    ottla.run("consume", topic + ":9", "-e", code=NOT_FOUND)
    ottla.run("consume", topic + ":x", "-e", code=USAGE)
    ottla.run("consume", topic + ":4294967296", "-e", code=USAGE)


def test_partitions_and_several_topics(ottla, topic):
    for partition in range(3):
        fill(ottla, topic, 2, partition, f"p{partition}")
    assert sorted(values(ottla, topic + ":0,2")) == ["p0-0", "p0-1", "p2-0", "p2-1"]
    assert sorted(values(ottla, topic + ":1-2")) == ["p1-0", "p1-1", "p2-0", "p2-1"]
    ottla.run("topic", "create", topic + "-b", "-p", 1)
    fill(ottla, topic + "-b", 1, 0, "other")
    found = ottla.out("consume", topic, topic + "-b", "-e", "-f", "%t %v\\n").splitlines()
    assert len(found) == 7 and f"{topic}-b other-0" in found


def test_follow_until_interrupted(ottla, topic):
    follower = ottla.start("consume", topic, "--from", "latest")
    time.sleep(1)
    fill(ottla, topic, 3)
    assert [follower.stdout.readline() for _ in range(3)] == [b"value-%d\n" % n for n in range(3)]
    follower.send_signal(signal.SIGINT)
    assert follower.communicate(timeout=10) == (b"", b"")
    assert follower.returncode == INTERRUPTED


def test_who_follows_is_told_that_the_broker_is_gone(tmp_path):
    node = Node(tmp_path / "node").start()
    ottla = Commands(node.bootstrap, tmp_path)
    ottla.run("topic", "create", "t")
    follower = ottla.start("consume", "t")
    ottla.run("produce", "t", "-V", "before")
    assert follower.stdout.readline() == b"before\n"
    node.kill()
    assert f"broker 1 ({node.bootstrap})".encode() in follower.stderr.readline()
    node.start()
    ottla.run("produce", "t", "-V", "after")
    assert follower.stdout.readline() == b"after\n"
    follower.send_signal(signal.SIGINT)
    lines = follower.communicate(timeout=10)[1].splitlines()
    assert len(lines) == len(set(lines)) and follower.returncode == INTERRUPTED
    assert node.stop() == 0


def test_a_reader_that_goes_away(ottla, topic):
    ottla.run("produce", topic, "-p", 0, input="line\n" * 200_000)
    run = subprocess.run(["bash", "-o", "pipefail", "-c", f"{OTTLA} consume {topic} | head -1"],
                         env=ottla.environment, capture_output=True, text=True, timeout=20)
    assert (run.stdout, run.stderr) == ("line\n", "") and run.returncode != 0
    follow = subprocess.run(["bash", "-c", f"{OTTLA} topic list | true"], env=ottla.environment,
                            capture_output=True, text=True, timeout=20)
    assert follow.stderr == ""


def test_help_teaches(ottla):
    for words in [["topic"], ["topic", "trim"], ["group", "reset"], ["config"], ["consume"],
                  ["produce"], ["cluster", "doctor"], ["profile"], ["log"], ["completion"],
                  ["transaction"], ["transaction", "find-hanging"], ["transaction", "abort"]]:
        help_text = ottla.out(*words, "--help")
        assert help_text.startswith("usage: ottla " + " ".join(words)), words
    assert "ottla topic trim orders" in ottla.out("topic", "trim", "--help")
    run = ottla.run("topic", "lits", code=USAGE)
    assert "list" in run.stderr
    run = ottla.run("config", "describe", "topic/x", code=USAGE)
    assert "did you mean ottla config get?" in run.stderr
    assert "partitions" in ottla.run("topic", "create", "x", "--partition", "3", code=USAGE).stderr


# --- files ----------------------------------------------------------------------------------------

def test_log(ottla, topic, broker, tmp_path):
    """The files of a partition, as they are while the node runs."""
    folder = os.path.join(broker.settings["log.dirs"], topic + "-1")
    then = int(time.time() * 1000) - 1000
    ottla.run("produce", topic, "-p", 1, "-k", "k", "-V", "v" * 1000, "-H", "h=1", "-z",
              "gzip", "--timestamp", then)
    ottla.run("produce", topic, "-p", 1, input="a\nb\n")
    ottla.environment.pop("OTTLA_BOOTSTRAP_SERVERS")
    assert "ABORTED BYTES" in ottla.out("log", "segments", folder)
    segment = ottla.json("log", "segments", folder)[0]
    assert segment["indexBytes"] == os.path.getsize(segment["file"][:-4] + ".index")
    assert (segment["firstOffset"], segment["nextOffset"], segment["records"]) == (0, 3, 3)
    assert segment["earliest"] == (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(then // 1000))
                                   + f".{then % 1000:03}Z")
    batches = ottla.json("log", "batches", folder)
    assert (batches[0]["lastOffset"], batches[0]["compression"], batches[0]["crc"],
            batches[0]["position"], batches[0]["kind"]) == (0, "gzip", "good", 0, "data")
    assert batches[0]["bytes"] == batches[1]["position"] and batches[0]["producerId"] >= 0
    assert ottla.json("log", "batches", folder, "--from", 1) == batches[1:]
    assert ottla.table("log", "batches", folder, "-n", 1)[0][:2] == ["FIRST", "LAST"]
    records = ottla.lines("log", "records", folder)
    assert {"topic": topic, "partition": 1, "offset": 0, "timestamp": then, "key": "k",
            "value": "v" * 1000, "headers": [{"key": "h", "value": "1"}]}.items() <= records[0].items()
    assert ottla.out("log", "records", folder, "--from", 1, "-n", 1, "-f", "%o %v\\n") == "1 a\n"
    ottla.json("log", "index", folder)
    log = segment["file"]
    with open(log, "rb") as file:
        damaged = bytearray(file.read())
    damaged[70] ^= 1
    bad = tmp_path / "00000000000000000000.log"
    bad.write_bytes(damaged + b"\0" * 20)
    run = ottla.run("log", "batches", bad, "-o", "json", code=FAILED)
    assert [batch["crc"] for batch in json.loads(run.stdout)][:2] == ["bad", "good"]
    assert "checksum" in run.stderr and f"position {len(damaged)}" in run.stderr
    run = ottla.run("log", "records", folder, "--from", 3)
    assert (run.stdout, run.stderr) == ("", "No records.\n")
    assert ottla.run("log", "records", folder, "--from", 3, "-o", "json").stderr == ""
    ottla.run("log", "records", "/no/such/folder", code=NOT_FOUND)
    ottla.run("log", "segments", tmp_path / "bin", code=NOT_FOUND)


def log_batch(offset, attributes, base_ms, latest_ms, *deltas_ms):
    """With a record for each delta of a timestamp."""
    records = b""
    for index, delta in enumerate(deltas_ms):
        body = b"\0" + varint(delta) + varint(index) + varint(1) + b"k" + varint(-1) + b"\0"
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", attributes, max(len(deltas_ms) - 1, 0), base_ms, latest_ms, 7,
                       0, 0, len(deltas_ms)) + records
    return struct.pack(">qiibI", offset, 9 + len(tail), 0, 2, crc32c(tail)) + tail


def test_log_of_what_was_compacted(ottla, tmp_path):
    """The cleaner leaves heads without records and times, and batches with a delete horizon."""
    folder = tmp_path / "x-0"
    folder.mkdir()
    of = {0: log_batch(0, 0, -1, 900),
          10: log_batch(10, 0, -1, 500) + log_batch(11, 0x40, 90_000, 2000, -89_000, -88_000),
          20: log_batch(20, 0, 3000, 3500, 0, 500) + log_batch(22, 0x08, 3100, 3600, 0)}
    for base, batches in of.items():
        (folder / f"{base:020}.log").write_bytes(batches)
    rows = ottla.json("log", "segments", folder)
    assert [(row["records"], row["earliest"], row["latest"]) for row in rows] == [
        (0, None, None), (2, "1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z"),
        (3, "1970-01-01T00:00:03.000Z", "1970-01-01T00:00:03.600Z")]
    assert [row["timestamp"] for row in ottla.lines("log", "records", folder)] \
        == [1000, 2000, 3000, 3500, 3600]


def test_log_of_the_cluster_itself(ottla, topic, broker):
    """What its own topics hold is printed as what it says."""
    id = topic + "-id"
    transactions = Transactions(broker)
    transactions.commit(id, topic + ":0")
    transactions.stop()
    data = broker.settings["log.dirs"]
    logs = [os.path.join(data, f"__transaction_state-{number}") for number in range(2)]
    rows = [row for row in ottla.lines("log", "records", *logs)
            if row["key"]["transactionalId"] == id]
    assert {row["key"]["type"] for row in rows} == {"TransactionLog"}
    states = [row["value"]["transactionStatus"] for row in rows]
    assert (states[0], states[-1]) == ("Empty", "CompleteCommit") and "Ongoing" in states
    assert rows[states.index("Ongoing")]["value"]["transactionPartitions"] \
        == [{"topic": topic, "partitionIds": [0]}]
    text = ottla.out("log", "records", *logs, "-f", "%k %v\\n")
    assert f'{{"type":"TransactionLog","transactionalId":"{id}"}} {{"producerId":' in text
    raw = [row for row in ottla.lines("log", "records", *logs, "--raw") if id in str(row["key"])]
    assert len(raw) == len(rows) and "valueBase64" in raw[0]
    names = [row["value"].get("name") for row in ottla.lines(
        "log", "records", os.path.join(data, "__cluster_metadata-0"))
        if row["value"]["type"] == "TOPIC_RECORD"]
    assert topic in names


def test_log_of_indexes_and_snapshots(ottla, tmp_path):
    """Files as Kafka's page describes them."""
    folder = tmp_path / "x-0"
    folder.mkdir()
    (folder / "00000000000000000100.index").write_bytes(struct.pack(">iiii", 5, 700, 9, 1400)
                                                        + bytes(16))
    (folder / "00000000000000000100.timeindex").write_bytes(struct.pack(">qi", 1234, 7))
    (folder / "00000000000000000100.txnindex").write_bytes(
        struct.pack(">hqqqq", 0, 42, 101, 109, 108))
    rows = ottla.json("log", "index", folder)
    assert [(r["offset"], r["position"]) for r in rows if "position" in r] \
        == [(105, 700), (109, 1400)]
    assert [(r["offset"], r["timestamp"]) for r in rows if "time" in r] == [(107, 1234)]
    assert [(r["producerId"], r["firstOffset"], r["offset"], r["lastStableOffset"])
            for r in rows if "producerId" in r] == [(42, 101, 109, 108)]
    body = struct.pack(">i", 1) + struct.pack(">qhiqiqiq", 42, 3, 17, 99, 4, 1234, -1, 90)
    (folder / "00000000000000000100.snapshot").write_bytes(
        struct.pack(">hI", 1, crc32c(body)) + body)
    row = ottla.json("log", "producers", folder)[0]
    assert (row["producerId"], row["epoch"], row["lastSequence"], row["lastOffset"],
            row["transactionStartOffset"]) == (42, 3, 17, 99, 90)
    (folder / "00000000000000000100.snapshot").write_bytes(b"\0\1" + bytes(8))
    ottla.run("log", "producers", folder, code=FAILED)


# --- transactions ---------------------------------------------------------------------------------

@pytest.fixture
def transactions(broker):
    if not has_apis(broker, ["DescribeTransactions", "ListTransactions"]):
        pytest.skip("the broker does not have DescribeTransactions and ListTransactions")
    made = Transactions(broker)
    yield made
    made.stop()


def test_transactions_that_are_well(ottla, topic, broker, transactions):
    done, going = topic + "-done", topic + "-going"
    transactions.commit(done, f"{topic}:0")
    transactions.begin(going, f"{topic}:0", f"{topic}:2")
    rows = ottla.json("transaction", "list", topic + "*")
    assert [(row["transaction"], row["state"], row["coordinator"]) for row in rows] \
        == [(done, "CompleteCommit", 1), (going, "Ongoing", 1)]
    assert ottla.table("transaction", "list", topic + "*", "--state", "Ongoing")[1][:2] \
        == [going, "Ongoing"]
    producer = str(rows[0]["producerId"])
    assert [row["transaction"] for row in
            ottla.json("transaction", "list", "--producer-id", producer)] == [done]
    assert [row["transaction"] for row in
            ottla.json("transaction", "list", topic + "*", "--older-than", "0s")] == [going]
    assert ottla.json("transaction", "list", topic + "*", "--older-than", "1h") == []
    none = ["transaction", "list", topic + "-none"]
    assert "No transactional id" in ottla.run(*none).stderr
    assert ottla.run(*none, "-o", "json").stderr == ottla.run(*none, "-q").stderr == ""
    assert "Tired" in ottla.run("transaction", "list", "--state", "Tired", code=USAGE).stderr
    ottla.run("transaction", "list", "--older-than", "soon", code=USAGE)
    first, second = ottla.json("transaction", "describe", done, going)
    assert (first["openFor"], first["partitions"]) == (None, [])
    assert second["partitions"] == [f"{topic}:0", f"{topic}:2"] and second["timeoutMs"] == 600_000
    assert second["startMs"] <= time.time() * 1000 and second["producerEpoch"] >= 0
    for row in [first, second]:
        log = os.path.join(broker.settings["log.dirs"], row["log"])
        assert row["transaction"] in {written["key"]["transactionalId"]
                                      for written in ottla.lines("log", "records", log)}
    run = ottla.run("transaction", "describe", going, topic + "-none", code=PARTLY)
    assert "TRANSACTIONAL_ID_NOT_FOUND" in run.stderr and "ottla transaction list" in run.stderr
    ottla.run("transaction", "describe", topic + "-none", code=NOT_FOUND)
    rows = ottla.json("transaction", "producers", f"{topic}:0")
    assert {row["transactionStartOffset"] for row in rows} == {None, 2}
    assert [row["partition"] for row in ottla.json("transaction", "producers", topic, "--open")] \
        == [0, 2]
    assert len(ottla.table("transaction", "producers", f"{topic}:2", "--broker", 1)) == 2
    run = ottla.run("transaction", "producers", f"{topic}:1", "--open")
    assert (run.stdout, run.stderr) == ("", "No transaction is open there.\n")
    assert "No producer" in ottla.run("transaction", "producers", f"{topic}:1").stderr
    ottla.run("transaction", "producers", f"{topic}:7", code=NOT_FOUND)
    offered = ottla.out("__complete", "transaction", "describe", topic).splitlines()
    assert offered == [done, going]


def test_transactions_that_hang(ottla, topic, transactions):
    hangs, going = topic + "-hangs", topic + "-going"
    producer = transactions.hang(hangs, topic, 1, 60)
    transactions.hang(hangs, topic, 0)
    transactions.begin(going, f"{topic}:1")
    assert values(ottla, topic, "--range", ":", "-X", "isolation.level=read_committed") == []
    found = ottla.json("transaction", "find-hanging", topic)
    assert [(row["partition"], row["transactionStartOffset"], row["producerId"], row["transaction"])
            for row in found] == [(1, 0, producer, hangs)]
    everywhere = ottla.json("transaction", "find-hanging", "--broker", 1)
    assert found[0]["transactionStartOffset"] in [row["transactionStartOffset"]
                                                  for row in everywhere if row["topic"] == topic]
    now = ottla.json("transaction", "find-hanging", topic, "--max-transaction-timeout", "0s")
    assert [row["partition"] for row in now] == [0, 1]
    run = ottla.run("transaction", "find-hanging", f"{topic}:1")
    assert f"ottla transaction abort {topic}:1 --start-offset 0" in run.stderr
    assert [row["verdict"] for row in ottla.json("cluster", "doctor", code=FAILED)
            if row["check"] == "transactions"] == ["problem"]
    assert "No transaction hangs" in ottla.run("transaction", "find-hanging", f"{topic}:2").stderr

    abort = ["transaction", "abort", f"{topic}:1", "--start-offset"]
    assert "producers" in ottla.run(*abort, 5, code=NOT_FOUND).stderr
    assert "fence" in ottla.run(*abort, 2, code=FAILED).stderr  # its coordinator has it
    ottla.run(*abort[:3], code=USAGE)
    ottla.run("transaction", "abort", topic, "--start-offset", 0, code=USAGE)
    assert ottla.json(*abort, 0, "--dry-run")[0]["result"] == "would be aborted"
    assert ottla.json("transaction", "find-hanging", topic)[0]["partition"] == 1
    assert ottla.json(*abort, 0)[0]["result"] == "aborted"
    ottla.run(*abort, 0, code=NOT_FOUND)
    assert ottla.json("transaction", "find-hanging", topic) == []


def test_transactions_are_fenced(ottla, topic, transactions):
    going = topic + "-going"
    transactions.begin(going, f"{topic}:0")
    run = ottla.run("transaction", "fence", going, topic + "-none", "--dry-run", code=PARTLY)
    assert "would be fenced" in run.stdout
    assert ottla.json("transaction", "describe", going)[0]["state"] == "Ongoing"
    assert ottla.json("transaction", "fence", going) \
        == [{"transaction": going, "was": "Ongoing", "result": "fenced"}]
    assert wait_for(lambda: ottla.json("transaction", "producers", topic, "--open") == [])
    assert ottla.json("transaction", "describe", going)[0]["openFor"] is None
    ottla.run("transaction", "fence", topic + "-none", code=NOT_FOUND)
    assert ottla.json("transaction", "list", topic + "-none") == []


# --- groups ---------------------------------------------------------------------------------------

def test_a_group_reads_everything_once(ottla, topic):
    fill(ottla, topic, 20)
    group = topic + "-g"
    first = values(ottla, topic, "-g", group, "-n", 7)
    second = values(ottla, topic, "-g", group)
    assert first + second == [f"value-{n}" for n in range(20)]
    fill(ottla, topic, 1, 1, "late")
    assert values(ottla, topic, "-g", group) == ["late-0"]
    assert values(ottla, topic, "-g", topic + "-latest", "--from", "latest") == []


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.timeout(60)
def test_a_member_that_is_killed_loses_nothing(ottla, topic, protocol):
    """What was printed and not committed comes again; nothing is left out."""
    count, group = 200_000, topic + "-g"
    ottla.run("produce", topic, input="".join(f"{n}\n" for n in range(count)))
    settings = ["-X", f"group.protocol={protocol}", "-X", "max.poll.records=500"]
    if protocol == "classic":
        settings += ["-X", "session.timeout.ms=6000"]
    member = ottla.start("consume", topic, "-g", group, *settings)
    seen = {int(member.stdout.readline()) for _ in range(20_000)}
    member.send_signal(signal.SIGKILL)
    seen.update(int(line) for line in member.stdout if line.endswith(b"\n"))
    member.communicate()
    assert len(seen) < count, "it was done too soon"
    rest = ottla.start("consume", topic, "-g", group, *settings)
    for line in rest.stdout:
        seen.add(int(line))
        if len(seen) == count:
            break
    rest.send_signal(signal.SIGINT)
    rest.communicate(timeout=20)
    assert seen == set(range(count))


@pytest.fixture
def member(ottla, topic):
    """A group with a member that has read three records of five."""
    fill(ottla, topic, 3)
    process = ottla.start("consume", topic, "-g", topic + "-g", "-X", "client.id=the-member")
    for _ in range(3):
        process.stdout.readline()
    wait_for(lambda: any(row["committed"] == 3 for row in ottla.json(
        "group", "describe", topic + "-g", "--no-age")[0]["partitions"]))
    yield process
    process.kill()
    process.communicate()


def test_groups_with_a_live_member(ottla, topic, member):
    group = topic + "-g"
    row = next(row for row in ottla.json("group", "list") if row["group"] == group)
    assert row["type"] == ottla.json("group", "describe", group)[0]["type"]
    assert (row["state"], row["protocol"], row["coordinator"]) == ("Stable", "consumer", 1)
    assert [row["group"] for row in ottla.json("group", "list", group, "--state", "Stable")] \
        == [group]
    assert ottla.json("group", "list", group, "--state", "Empty") == []
    rows = ottla.json("group", "members", group)
    assert (rows[0]["client"], rows[0]["assigned"]) \
        == ("the-member", [f"{topic}:{n}" for n in range(3)])
    assert ottla.table("group", "members", group)[1][0] == group
    described = ottla.json("group", "describe", group)[0]
    assert (described["members"], described["lag"], described["state"]) == (1, 0, "Stable")
    assert described["partitions"][0]["client"] == "the-member"
    assert "1 members" in ottla.out("group", "describe", group)
    assert "NON_EMPTY_GROUP" in ottla.run("group", "delete", group, code=FAILED).stderr
    assert "stay" in ottla.run("group", "delete", group, "--dry-run").stderr
    ottla.run("group", "reset", group, "--to", "earliest", code=FAILED)
    ottla.run("group", "forget", group, topic, code=FAILED)


def test_a_member_of_another_client(ottla, topic, broker):
    from confluent_kafka import Consumer
    fill(ottla, topic, 3)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic + "-g",
                         "auto.offset.reset": "earliest", "client.id": "other"})
    consumer.subscribe([topic])
    assert consumer.poll(30) is not None
    rows = ottla.json("group", "members", topic + "-g")
    assert (rows[0]["client"], len(rows[0]["assigned"]), rows[0]["topics"]) == ("other", 3, [topic])
    consumer.close()


def test_groups_without_members(ottla, topic):
    fill(ottla, topic, 10, 0)
    fill(ottla, topic, 10, 1)
    group = topic + "-g"
    values(ottla, topic, "-g", group)

    def committed():
        return {row["partition"]: row["committed"] for row in
                ottla.json("group", "describe", group, "--no-age")[0]["partitions"]}

    def moved(*words):
        return {row["partition"]: (row["from"], row["to"], row["result"])
                for row in ottla.json("group", "reset", group, *words)}

    assert {0: 10, 1: 10}.items() <= committed().items()
    assert moved("--to", "earliest", "--dry-run")[0] == (10, 0, "would be moved")
    assert committed()[0] == 10
    assert moved(f"{topic}:0", "--to", "4") == {0: (10, 4, "moved")}
    assert moved(topic, "--to", "+3")[0] == (4, 7, "moved")
    assert moved(topic, "--to", "-2")[1] == (10, 8, "moved")
    assert moved("--to", "@1h-ago")[0] == (5, 0, "moved")
    assert moved("--to", "+" + "9" * 30)[0] == (0, 10, "moved")
    assert moved("--to", "1h-ago")[0] == (10, 0, "moved")
    assert moved("--to", "99")[0] == (0, 10, "moved")
    assert moved("--to", "earliest")[1] == (10, 0, "moved")
    lag = ottla.json("group", "describe", group)[0]
    assert lag["lag"] == 20 and lag["lagMs"] > 0 and lag["partitions"][0]["lagMs"] > 0
    assert moved("--to", "latest")[0] == (0, 10, "moved")
    assert "would be deleted" in ottla.run("group", "forget", group, topic + ":0",
                                           "--dry-run").stderr
    assert committed()[0] == 10
    forgotten = ottla.json("group", "forget", group, topic + ":0")
    assert [(row["partition"], row["result"]) for row in forgotten] == [(0, "forgotten")]
    assert 0 not in committed()
    ottla.run("group", "delete", group, "--dry-run")
    assert ottla.json("group", "delete", group) == [{"group": group, "result": "deleted"}]
    ottla.run("group", "describe", group, code=NOT_FOUND)
    assert "group list" in ottla.run("group", "members", group, code=NOT_FOUND).stderr
    ottla.run("group", "delete", group, code=NOT_FOUND)


def test_groups_mistakes(ottla, topic):
    ottla.run("group", "reset", "nobody", "--to", "latest", code=NOT_FOUND)
    ottla.run("group", "reset", "nobody", topic, code=USAGE)
    ottla.run("group", "reset", "nobody", topic, "--to", "the moon", code=USAGE)
    ottla.run("group", "reset", "nobody", "nowhere", "--to", "latest", code=NOT_FOUND)
    assert ottla.json("group", "reset", "new-" + topic, topic + ":1", "--to", "latest") \
        == [{"topic": topic, "partition": 1, "from": None, "to": 0, "result": "moved"}]


# --- which cluster --------------------------------------------------------------------------------

def test_settings_and_who_wins(broker, tmp_path):
    """The file, its `use`, $OTTLA_PROFILE, --profile, $OTTLA_BOOTSTRAP_SERVERS, -b, -X."""
    ottla = Commands(None, tmp_path)
    folder = tmp_path / ".config" / "ottla"
    folder.mkdir(parents=True)
    file = folder / "profiles"
    file.write_text(f"# clusters\nuse = there\n\n[there]\nbootstrap.servers = {broker.bootstrap}\n"
                    "client.id = me\n\n[bad]\nbootstrap.servers = 127.0.0.1:1\n")
    ottla.run("cluster", "info")
    bad = ["cluster", "info", "--timeout", 1]
    ottla.run(*bad, "--profile", "bad", code=UNREACHABLE)
    ottla.environment["OTTLA_PROFILE"] = "bad"
    ottla.run(*bad, code=UNREACHABLE)
    ottla.run("cluster", "info", "--profile", "there")
    ottla.environment["OTTLA_BOOTSTRAP_SERVERS"] = broker.bootstrap
    ottla.run("cluster", "info")
    ottla.run(*bad, "-b", "127.0.0.1:1", code=UNREACHABLE)
    ottla.environment["OTTLA_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    ottla.run("cluster", "info", "-b", broker.bootstrap)
    ottla.run("cluster", "info", "-X", f"bootstrap.servers={broker.bootstrap}")
    ottla.run("cluster", "info", "--profile", "none", code=USAGE)
    other = tmp_path / "other"
    other.write_text(f"[x]\nbootstrap.servers={broker.bootstrap}\n")
    del ottla.environment["OTTLA_BOOTSTRAP_SERVERS"], ottla.environment["OTTLA_PROFILE"]
    ottla.environment["OTTLA_PROFILES"] = str(other)
    ottla.run("cluster", "info", "--profile", "x")
    other.write_text("[x]\nno such line\n")
    assert f"{other}:2" in ottla.run("cluster", "info", "--profile", "x", code=USAGE).stderr
    other.write_text("[x]\nno.such.key = 1\n")
    assert f"{other}:2" in ottla.run("cluster", "info", "--profile", "x", code=USAGE).stderr


def test_profile_commands(broker, tmp_path):
    ottla = Commands(None, tmp_path)
    assert ottla.json("profile", "list") == []
    ottla.run("profile", "set", "test", f"bootstrap.servers={broker.bootstrap}", "client.id=me")
    ottla.run("profile", "set", "other", "bootstrap.servers=127.0.0.1:1")
    file = tmp_path / ".config" / "ottla" / "profiles"
    file.write_text("# mine\n" + file.read_text() + "# the end\n")
    ottla.run("profile", "use", "other", "--dry-run")
    ottla.run("profile", "use", "test")
    assert [(row["profile"], row["used"]) for row in ottla.json("profile", "list")] \
        == [("test", True), ("other", False)]
    ottla.run("cluster", "info")
    assert ottla.json("profile", "show", "test")["settings"] \
        == {"bootstrap.servers": broker.bootstrap, "client.id": "me"}
    ottla.run("profile", "set", "test", "client.id=you", "acks=1")
    ottla.run("profile", "unset", "test", "acks")
    assert ottla.json("profile", "show")["settings"] \
        == {"bootstrap.servers": broker.bootstrap, "client.id": "you"}
    ottla.run("profile", "set", "test", "no.such=1", code=USAGE)
    ottla.run("profile", "set", "te]st", "acks=1", code=USAGE)
    ottla.run("profile", "use", "none", code=NOT_FOUND)
    ottla.run("profile", "show", "none", code=NOT_FOUND)
    ottla.run("profile", "delete", "other")
    ottla.run("profile", "delete", "other", code=NOT_FOUND)
    assert file.read_text() == ("# mine\nuse = test\n\n[test]\n"
                                f"bootstrap.servers = {broker.bootstrap}\nclient.id = you\n"
                                "# the end\n")


def test_clusters_that_cannot_be_reached(tmp_path):
    ottla = Commands(None, tmp_path)
    started = time.monotonic()
    for words in [["topic", "list"], ["topic", "create", "x"], ["group", "list"],
                  ["consume", "x", "-e"], ["produce", "x", "-V", "x"],
                  ["config", "get", "topic/x"]]:
        run = ottla.run(*words, "-b", "127.0.0.1:1", "--timeout", 1, code=UNREACHABLE)
        assert "127.0.0.1:1" in run.stderr and run.stdout == "", run
    assert time.monotonic() - started < 20
    run = ottla.run("topic", "list", "-b", "no-such-host.invalid:9092", "--timeout", 1,
                    code=UNREACHABLE)
    assert "no-such-host.invalid" in run.stderr
    with socket.socket() as listener:  # takes connections, never answers
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        run = ottla.run("topic", "list", "-b", address, "--timeout", 1, code=UNREACHABLE)
        assert address in run.stderr
    ottla.run("topic", "list", "-b", "nonsense", code=USAGE)


# --- completion -----------------------------------------------------------------------------------

def complete(ottla, *words):
    """What bash offers for the last word, with the script sourced, by a program not in PATH."""
    script = ('source <("$1" completion bash); COMP_LINE="$1 $2"; COMP_POINT=${#COMP_LINE}; '
              '_ottla "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    run = subprocess.run(["bash", "-c", script, "bash", OTTLA, " ".join(words)],
                         capture_output=True, text=True, timeout=30, env=ottla.environment)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run.stdout.split()


def test_completion(ottla, topic, broker):
    assert {"topic", "consume", "completion", "log", "server", "rpc"} <= set(complete(ottla, ""))
    assert complete(ottla, "to") == ["topic"]
    assert set(complete(ottla, "topic", "")) == {"list", "describe", "create", "alter", "trim",
                                                 "delete"}
    assert "--partitions" in complete(ottla, "topic", "create", "x", "--p")
    assert complete(ottla, "topic", "describe", topic[:-1]) == [topic]
    assert complete(ottla, "consume", topic) == [topic]
    assert complete(ottla, "produce", "-z", "zs") == ["zstd"]
    assert complete(ottla, "produce", "--compression=zs") == ["zstd"]
    assert complete(ottla, "topic", "describe", "--output=json", topic[:-1]) == [topic]
    fill(ottla, topic, 1)
    values(ottla, topic, "-g", topic + "-g")
    assert complete(ottla, "group", "describe", topic[:-1]) == [topic + "-g"]
    assert complete(ottla, "consume", topic, "-g", topic[:-1]) == [topic + "-g"]
    del ottla.environment["OTTLA_BOOTSTRAP_SERVERS"]
    assert complete(ottla, "consume", "-b", broker.bootstrap, topic[:-1]) == [topic]
    assert complete(ottla, "consume", "-b", "127.0.0.1:1", topic[:-1]) == []
    assert complete(ottla, "topic", "list", "-b", "127.0.0.1:") == []
    for shell in ["zsh", "fish"]:
        assert "ottla __complete" in ottla.out("completion", shell)
    ottla.run("completion", "csh", code=USAGE)
