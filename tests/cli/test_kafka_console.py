"""kafka-console-producer and kafka-console-consumer: what one writes the Java tools' counterpart reads,
and both print the same of the same records."""
import os
import re
import signal
import subprocess
import time

import pytest
from kafka_node import KAFKA
from node import OTTLA

CLASSES = {"kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
           "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer"}
SECONDS = 60
WITH_ALL = [part for name in ("timestamp", "partition", "offset", "delivery", "epoch", "headers", "key")
            for part in ("--formatter-property", f"print.{name}=true")]
FIELDS = ["--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"]


def words_of(who, tool, broker, words):
    start = [OTTLA, tool] if who == "ottla" else [KAFKA, "tool", CLASSES[tool]]
    return [*start, "--bootstrap-server", broker.bootstrap, *map(str, words)]


def run(who, tool, broker, *words, stdin="", code=0):
    done = subprocess.run(words_of(who, tool, broker, words), input=stdin, capture_output=True,
                          text=True, timeout=SECONDS,
                          env={**os.environ, "KAFKA_TOOL_HEAP": "-Xmx256m"})
    assert done.returncode == code, (who, words, done.returncode, done.stdout, done.stderr)
    return done


def both(tool, broker, *words, code=0):
    java, ottla = (run(who, tool, broker, *words, code=code) for who in ("java", "ottla"))
    return java, ottla


def produce(who, broker, topic, text, *words, code=0):
    return run(who, "kafka-console-producer", broker, "--topic", topic, *words, stdin=text,
               code=code)


def consume(who, broker, topic, *words):
    return run(who, "kafka-console-consumer", broker, "--topic", topic, *words).stdout


PARSED = ["--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
          "--reader-property", "null.marker=NULL", "--reader-property", "headers.separator=;"]
LINES = "h:1;g:2\tk\tv\nNULL\tNULL\tNULL\nh:NULL\tkey\t\na:b:c\tk:x\tv\tw\n"


def test_lines_become_the_same_records(broker, ottla, topic):
    for partition, who in enumerate(("java", "ottla")):
        ottla.run("topic", "create", f"{topic}-{who}", "-p", 1)
        produce(who, broker, f"{topic}-{who}", LINES, *PARSED)
    read = {who: [{**record, "topic": "", "timestamp": 0} for record in
                  ottla.lines("consume", f"{topic}-{who}", "-e")] for who in ("java", "ottla")}
    assert read["java"] == read["ottla"] and len(read["ottla"]) == 4


def test_plain_lines(broker, ottla, topic):
    produce("ottla", broker, topic, "one\ntwo\r\n\nfour", "--compression-codec", "zstd", "--sync",
            "--request-required-acks", "all", "--command-property", "linger.ms=0")
    assert sorted(consume("ottla", broker, topic, "--from-beginning", "--max-messages", 4)
                  .split("\n")) == ["", "", "four", "one", "two"]


def test_lines_that_are_no_records(broker, topic):
    mistakes = [(PARSED[:2], "k\tv\nnone\n"),
                (["--reader-property", "null.marker=:"], ""),
                (["--compression-codec", "rar"], "")]
    for words, text in mistakes:
        said = [produce(who, broker, topic, text, *words, code=1).stderr.split("\n")
                for who in ("java", "ottla")]
        assert said[1][0] in said[0], words


def test_ignored_mistakes(broker, ottla, topic):
    ottla.run("topic", "create", topic + "-1", "-p", 1)
    produce("ottla", broker, topic + "-1", "k\tv\nnone\n", "--reader-property", "parse.key=true",
            "--reader-property", "ignore.error=true")
    assert consume("ottla", broker, topic + "-1", "--from-beginning", "--max-messages", 2,
                   *FIELDS[:2]) == "k\tv\nnull\tnone\n"


@pytest.fixture
def filled(broker, ottla, topic):
    name = topic + "-1"
    ottla.run("topic", "create", name, "-p", 1)
    produce("ottla", broker, name, LINES, *PARSED)
    ottla.run("produce", name, "--whole", "-K", "\\x01", input="\0\0\0\7\1eight by")
    return name


@pytest.mark.parametrize("words", [
    ["--from-beginning", "--max-messages", 4, *WITH_ALL],
    ["--partition", 0, "--offset", 1, "--max-messages", 3, *FIELDS, "--formatter-property",
     "key.separator=|", "--formatter-property", "line.separator=;\n", "--formatter-property",
     "null.literal=nil", "--formatter-property", "headers.separator=/"],
    ["--partition", 0, "--offset", 4, "--max-messages", 1, *FIELDS, "--key-deserializer",
     "org.apache.kafka.common.serialization.IntegerDeserializer", "--value-deserializer",
     "org.apache.kafka.common.serialization.LongDeserializer"],
    ["--partition", 0, "--offset", "earliest", "--timeout-ms", 4000, "--formatter-property",
     "print.value=false", *FIELDS[:2], "--enable-systest-events", "--isolation-level",
     "read_committed"],
], ids=["everything", "separators", "deserializers", "until-timeout"])
def test_prints_what_the_java_tool_prints(broker, filled, words):
    java, ottla = both("kafka-console-consumer", broker, "--topic", filled, *words)
    assert ottla.stdout == java.stdout and ottla.stdout
    assert "Processed a total of" in ottla.stderr
    assert ottla.stderr.splitlines()[-1] == java.stderr.splitlines()[-1]


@pytest.fixture
def states(broker, ottla, filled):
    """The cluster's own topics have something to tell of a transaction and of a group."""
    run("ottla", "kafka-producer-perf-test", broker, "--topic", filled, "--num-records", 1,
        "--payload-monotonic", "--throughput", -1, "--transactional-id", filled)
    consume("ottla", broker, filled, "--group", filled, "--from-beginning", "--max-messages", 1)


def coordinator_partition(name, count):
    """Where a group or transactional id has its records."""
    hashed = 0
    for letter in name:
        hashed = (31 * hashed + ord(letter)) & 0xffffffff
    return min(hashed, 2 ** 32 - hashed) % count


@pytest.mark.parametrize("of, count, formatter", [
    ("__transaction_state", 2, "TransactionLogMessageFormatter"),
    ("__consumer_offsets", 4, "OffsetsMessageFormatter"),
    ("__consumer_offsets", 4, "GroupMetadataMessageFormatter")])
def test_prints_what_the_cluster_keeps(broker, ottla, states, filled, of, count, formatter):
    number = coordinator_partition(filled, count)
    records = sum(row["partition"] == number for row in ottla.lines("consume", of, "-e"))
    java, ours = both("kafka-console-consumer", broker, "--topic", of, "--partition", number,
                      "--offset", "earliest", "--max-messages", records, "--timeout-ms", 5000,
                      "--formatter", "org.apache.kafka.tools.consumer." + formatter)
    assert ours.stdout == java.stdout and filled in ours.stdout


def test_groups_are_shared_with_the_java_tool(broker, ottla, filled):
    group = ["--group", filled + "-g", "--max-messages"]
    assert consume("ottla", broker, filled, *group, 1, "--from-beginning") == "v\n"
    assert consume("java", broker, filled, *group, 1) == "null\n"
    assert consume("ottla", broker, filled, *group, 2) == "\nv\tw\n"
    row = ottla.json("group", "describe", filled + "-g")[0]["partitions"][0]
    assert row["committed"] == 4


def test_topics_by_expression(broker, filled):
    found = run("ottla", "kafka-console-consumer", broker, "--include", f"nothing,{filled[:-3]}.*",
                "--from-beginning", "--max-messages", 2)
    assert found.stdout == "v\nnull\n"


def test_mistakes(broker):
    for words in [[], ["--topic", "a", "--include", "b"], ["--topic", "a", "--offset", "5"],
                  ["--topic", "a", "--partition", 0, "--group", "g"],
                  ["--topic", "a", "--partition", 0, "--offset", "x"],
                  ["--topic", "a", "--partition", 0, "--offset", 1, "--from-beginning"],
                  ["--topic", "a", "--formatter", "bogus"], ["--nonsense"],
                  ["--topic", "a", "--property", "a=b", "--formatter-property", "a=b"]]:
        java, ottla = both("kafka-console-consumer", broker, *words, code=1)
        assert ottla.stderr.split("\n")[0] == java.stderr.split("\n")[0], words
        assert ottla.stdout == ""


def test_follows_until_interrupted(broker, ottla, topic):
    follower = subprocess.Popen(words_of("ottla", "kafka-console-consumer", broker,
                                         ["--topic", topic, "--from-beginning"]),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    writer = subprocess.Popen(words_of("ottla", "kafka-console-producer", broker,
                                       ["--topic", topic, "--timeout", 0]),
                              stdin=subprocess.PIPE, text=True)
    writer.stdin.write("typed\n")
    writer.stdin.flush()
    assert follower.stdout.readline() == "typed\n"
    writer.communicate(timeout=10)
    time.sleep(0.2)
    follower.send_signal(signal.SIGINT)
    assert "Processed a total of 1 messages" in follower.communicate(timeout=10)[1]
    assert (writer.returncode, follower.returncode) == (0, 130)


# --- measuring ------------------------------------------------------------------------------------

CLASSES.update({"kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
                "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance"})


def shape(text):
    """Text without its numbers."""
    return re.sub(r"\d+(\.\d+)?", lambda n: "0." + "0" * len(n[1][1:]) if n[1] else "0", text)


def test_measuring_prints_what_the_java_tools_print(broker, ottla, topic):
    java, ours = both("kafka-producer-perf-test", broker, "--topic", topic, "--num-records", 2000,
                      "--record-size", 100, "--throughput", 2000, "--warmup-records", 500,
                      "--command-property", "linger.ms=1")
    assert shape(ours.stdout) == shape(java.stdout)
    rate = float(re.search(r"([\d.]+) records/sec", ours.stdout)[1])
    assert 1000 < rate <= 2100
    java, ours = both("kafka-consumer-perf-test", broker, "--topic", topic, "--num-records", 4000)
    assert shape(ours.stdout) == shape(java.stdout)
    assert ours.stdout.splitlines()[1].split(", ")[4] == "4000"


def test_measuring_in_other_ways(broker, ottla, topic, tmp_path):
    payloads = tmp_path / "payloads"
    payloads.write_text("a\nb\n")
    tool = ["kafka-producer-perf-test", broker, "--topic", topic, "--num-records", 10,
            "--throughput", -1]
    assert "10 records sent, " in run("ottla", *tool, "--payload-file", payloads).stdout
    assert set(ottla.out("consume", topic, "-e").split()) <= {"a", "b"}
    run("ottla", *tool, "--payload-monotonic")
    assert {str(n) for n in range(10)} <= set(ottla.out("consume", topic, "-e").split())
    run("ottla", *tool, code=1)
    run("ottla", *tool, "--record-size", 0, code=1)
    reader = ["kafka-consumer-perf-test", broker, "--topic", topic]
    detailed = run("ottla", *reader, "--num-records", 20, "--show-detailed-stats",
                   "--reporting-interval", 0, "--hide-header").stdout.splitlines()
    assert len(detailed) == 20 and detailed[-1].split(", ")[4] == "20"
    assert "WARNING: Exiting before consuming the expected number of records: timeout (500 ms)" \
        in run("ottla", *reader, "--num-records", 99, "--timeout", 500).stdout
    run("ottla", *reader, code=1)
    run("ottla", *reader, "--num-records", 1, "--print-metrics", code=1)


def markers(ottla, broker, topic):
    """Which transactions ended in the only partition, by what their markers say."""
    return [line["key"] == "\0\0\0\1" for line in
            ottla.lines("log", "records", os.path.join(broker.folder, "data", topic + "-0"),
                        "--control") if line["key"] in ("\0\0\0\0", "\0\0\0\1")]


def test_measuring_transactions(broker, ottla, topic):
    counts = {}
    for who in ("java", "ottla"):
        name = f"{topic}-{who}"
        ottla.run("topic", "create", name, "-p", 1)
        out = run(who, "kafka-producer-perf-test", broker, "--topic", name, "--num-records", 1000,
                  "--record-size", 20, "--throughput", 1000, "--transaction-duration-ms", 200,
                  "--warmup-records", 100, "--reporting-interval", 10000).stdout
        ends = markers(ottla, broker, name)
        assert all(ends)
        counts[who] = len(ends)
        assert len(ottla.lines("consume", name, "-e", "-X",
                               "isolation.level=read_committed")) == 1000
        assert shape(out).count("\n") == 3 and "900 steady state records sent" in out
    assert 3 <= counts["ottla"] <= 6 and abs(counts["ottla"] - counts["java"]) <= 2, counts
    ids = [row["transaction"] for row in ottla.json("transaction", "list")
           if re.fullmatch(r"performance-producer-[\w-]{22}", row["transaction"])]
    assert len(ids) >= 2


def test_measuring_transactions_of_an_id(broker, ottla, topic):
    tool = ["kafka-producer-perf-test", broker, "--topic", topic, "--num-records", 10,
            "--payload-monotonic", "--throughput", -1]
    run("ottla", *tool, "--command-property", f"transactional.id={topic}-a")
    run("ottla", *tool, "--transactional-id", f"{topic}-b", "--command-property",
        f"transactional.id={topic}-c")
    known = {row["transaction"] for row in ottla.json("transaction", "list")}
    assert {f"{topic}-a", f"{topic}-b"} <= known and f"{topic}-c" not in known


@pytest.mark.parametrize("words", [
    ["--transaction-duration-ms", 0], ["--reporting-interval", 0], ["--warmup-records", 10],
    ["--command-property", "a=b", "--producer-props", "c=d"],
    ["--transactional-id", "x", "--command-property", "enable.idempotence=false"],
], ids=lambda words: words[0][2:])
def test_mistakes_in_measuring(broker, topic, words):
    java, ours = both("kafka-producer-perf-test", broker, "--topic", topic, "--num-records", 10,
                      "--record-size", 1, "--throughput", -1, *words, code=1)
    said = " ".join(java.stderr.split())  # which fills its lines up with spaces
    assert ours.stderr.splitlines()[0] in said and ours.stdout == java.stdout
