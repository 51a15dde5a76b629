"""The names of Apache Kafka's tools: each line of kafka_names/*.txt is run by the Java tool and by
`ottla`, on the same cluster, and both say the same: exit code, stdout, and of a mistake (a line that
begins with !) the first line of stderr.

    kafka-topics --bootstrap-server $B     also $C controllers, $F this folder, $D the broker's
    kafka-topics --list --topic x@         @ becomes another word for each of the two
    ~kafka-topics --list                   the lines may come in another order
    %kafka-topics --list                   stdout is compared up to what numbers it has
    =topic create orders                   `ottla topic create orders`, before what follows
    &consume orders -g billing             the same, while the rest of the script runs
    +hang pay orders 0                     a method of transactions.Transactions
"""
import difflib
import glob
import json
import os
import re
import shlex
import subprocess
import time

import pytest
from node import OTTLA, ROOT
from transactions import Transactions, has_apis

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafka_names")
SCRIPTS = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(HERE, "*.txt")))
SECONDS = 90
CLASSES = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}
# What differs from run to run: ids, times, how far the metadata log is.
VARIABLE = [(r"(?<![\w.-])[\w-]{22}(?![\w.-])", "<id>"), (r"\b1[678]\d{11}\b", "<time>"),
            (r"Commit:\w+", "Commit:<id>"), (r"Epoch: \d+", "Epoch: <n>"), (r"HighWatermark: +\d+", "HighWatermark: <n>")]


WHO = ("java", "ottla")
# What a script needs of its broker.
NEEDS = {"kafka-transactions": ["DescribeTransactions", "ListTransactions"]}


def own_word(who, script):
    return f"{who[:3]}-{script}"


class JavaTools:
    """kafka_names/Tools.java, running."""

    def __init__(self, folder):
        policy = folder / "policy"
        policy.write_text("grant { permission java.security.AllPermission; };")
        self.process = subprocess.Popen(
            ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Djava.security.manager=allow",
             f"-Djava.security.policy=={policy}",
             f"-Dlog4j2.configurationFile={ROOT}/tests/kafka/log4j2.yaml",
             "-cp", f"{ROOT}/.cache/kafka/libs/*", os.path.join(HERE, "Tools.java")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def run(self, words):
        self.process.stdin.write(json.dumps([CLASSES[words[0]], *words[1:]]) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        return said["code"], said["out"], said["err"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    tools = JavaTools(tmp_path_factory.mktemp("java"))
    yield tools
    tools.stop()


def run_ottla(words):
    run = subprocess.run([OTTLA, *words], capture_output=True, text=True, timeout=SECONDS)
    return run.returncode, run.stdout, run.stderr


def comparable(marks, said, mine):
    """mine: what @ stood for; None when there was none."""
    code, out, err = said
    texts = [out, err.split("\n")[0] if "!" in marks else ""]
    for number, text in enumerate(texts):
        text = text.replace(mine, "@") if mine else text
        for pattern, name in VARIABLE:
            text = re.sub(pattern, name, text)
        texts[number] = without_numbers(text) if "%" in marks else text
    lines = texts[0].split("\n")
    lines = [in_order(line) for line in lines]
    return code, sorted(lines) if "~" in marks else lines, texts[1]


def without_numbers(text):
    """Nor the spaces that their width made necessary, before the tab that ends a cell."""
    return re.sub(r" +(?=\t)", "", re.sub(r"\d+", "<n>", text))


def in_order(line):
    """JSON whose lists are in the order of a hash map."""
    def sort(value):
        if isinstance(value, dict):
            return {key: sort(item) for key, item in value.items()}
        return sorted(map(sort, value), key=json.dumps) if isinstance(value, list) else value
    return json.dumps(sort(json.loads(line))) if line.startswith("{") else line


def explain(line, expected, found):
    shown = [line]
    if expected[0] != found[0]:
        shown.append(f"    exit code {found[0]} instead of {expected[0]}")
    for name, index in (("stdout", 1), ("stderr", 2)):
        old, new = expected[index], found[index]
        if old != new:
            differences = difflib.unified_diff(*((old, new) if index == 1 else ([old], [new])),
                                               "java", "ottla", lineterm="", n=0)
            shown += [f"    {name}: {text}" for text in list(differences)[2:22]]
    return "\n".join(shown)


def cases(script):
    with open(os.path.join(HERE, script + ".txt")) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                text = line.lstrip("~!%=&+").rstrip("\n")
                yield line[:len(line) - len(text) - 1], text


class Setting:
    """What a script needs: `ottla` commands, some of which go on."""

    def __init__(self, broker, folder):
        self.environment = {**os.environ, "OTTLA_BOOTSTRAP_SERVERS": broker.bootstrap,
                            "HOME": str(folder)}
        self.running = []
        self.transactions = Transactions(broker)

    def do(self, words):
        value = "".join(f"{number}\n" for number in range(12))
        subprocess.run([OTTLA, *words], env=self.environment, check=True, input=value, text=True,
                       stdout=subprocess.DEVNULL, timeout=SECONDS)

    def start(self, words):
        """A member of a group, which is there when this returns."""
        self.running.append(subprocess.Popen([OTTLA, *words], env=self.environment,
                                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        deadline = time.monotonic() + SECONDS
        group = words[words.index("-g") + 1]
        while not self.is_stable(group):
            assert time.monotonic() < deadline, f"{group} does not become stable"
            time.sleep(0.2)

    def is_stable(self, group):
        said = subprocess.run([OTTLA, "group", "list", "-o", "json"], env=self.environment,
                              capture_output=True, text=True, check=True).stdout
        return any(row["group"] == group and row["state"] == "Stable" for row in json.loads(said))

    def transact(self, script, words):
        """For both tools, where @ tells their names apart."""
        for who in WHO if any("@" in word for word in words) else WHO[:1]:
            name, *rest = [word.replace("@", own_word(who, script)) for word in words]
            getattr(self.transactions, name)(*rest)

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait(30)
        self.transactions.stop()


@pytest.fixture
def setting(broker, tmp_path):
    setting = Setting(broker, tmp_path)
    yield setting
    setting.stop()


@pytest.mark.parametrize("script", SCRIPTS)
def test_says_what_the_java_tool_says(broker, java, setting, script):
    if script in NEEDS and not has_apis(broker, NEEDS[script]):
        pytest.skip(f"the broker does not have {' and '.join(NEEDS[script])}")
    different = []
    for marks, line in cases(script):
        if marks == "+":
            setting.transact(script, shlex.split(line))
            continue
        if marks in ("=", "&"):
            (setting.do if marks == "=" else setting.start)(shlex.split(line))
            continue
        known = line
        for sign, value in (("$B", broker.bootstrap), ("$C", broker.controller), ("$F", HERE),
                            ("$D", broker.folder)):
            known = known.replace(sign, value)
        said = []
        for who, run in zip(WHO, (java.run, run_ottla)):
            mine = own_word(who, script) if "@" in line else None
            words = shlex.split(known.replace("@", mine or ""))
            said.append(comparable(marks, run(words), mine))
        if said[0] != said[1]:
            different.append(explain(line, *said))
    assert not different, "\n".join(different)


@pytest.mark.parametrize("name", ["kafka-topics", "kafka-topics.sh"])
def test_a_link_is_a_tool(broker, name, tmp_path):
    os.symlink(OTTLA, tmp_path / name)
    words = ["--bootstrap-server", broker.bootstrap, "--list"]
    linked = subprocess.run([tmp_path / name, *words], capture_output=True, text=True)
    word = subprocess.run([OTTLA, name, *words], capture_output=True, text=True)
    assert linked.returncode == 0 and linked.stdout == word.stdout
