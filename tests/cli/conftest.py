import json
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "transcripts")]
sys.path.append(os.path.join(HERE, "..", "cluster"))  # last: it has a conftest of its own

from kafka_node import KafkaNode  # noqa: E402
from node import OTTLA, Node  # noqa: E402

SETTINGS = {"offsets__topic__replication__factor": 1, "group__initial__rebalance__delay__ms": 0,
            "transaction__state__log__replication__factor": 1,
            "transaction__state__log__min__isr": 1, "offsets__topic__num__partitions": 4,
            "transaction__state__log__num__partitions": 2,
            "auto__create__topics__enable": "false",
            "transaction__partition__verification__enable": "false",  # so that some can hang
            "group__consumer__min__session__timeout__ms": 1000,
            "group__consumer__session__timeout__ms": 6000,
            "group__consumer__min__heartbeat__interval__ms": 100,
            "group__consumer__heartbeat__interval__ms": 500}
SECONDS = 30


@pytest.fixture(scope="session", params=[Node, KafkaNode], ids=["ottla", "kafka"])
def broker(request, tmp_path_factory):
    """One for all tests; what they make there has names of their own."""
    node = request.param(tmp_path_factory.mktemp("broker"), **SETTINGS).start()
    yield node
    assert node.stop() in (0, 143), node.log()


class Commands:
    """Runs `ottla` as a shell would, with nothing of this machine's settings."""

    def __init__(self, bootstrap, home):
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home),
                            **{key: value for key, value in os.environ.items()
                               if key.endswith("SAN_OPTIONS")}}
        if bootstrap is not None:
            self.environment["OTTLA_BOOTSTRAP_SERVERS"] = bootstrap

    def start(self, *words, **options):
        return subprocess.Popen([OTTLA, *map(str, words)], env=self.environment,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)

    def run(self, *words, code=0, text=True, **options):
        """Its run, with stdout and stderr; the exit code is the one expected."""
        run = subprocess.run([OTTLA, *map(str, words)], env=self.environment, text=text,
                             capture_output=True, timeout=SECONDS,
                             **({"stdin": subprocess.DEVNULL} if "input" not in options else {}),
                             **options)
        assert run.returncode == code, (words, run.returncode, run.stdout, run.stderr)
        return run

    def out(self, *words, **options):
        return self.run(*words, **options).stdout

    def json(self, *words, code=0, **options):
        return json.loads(self.out(*words, "-o", "json", code=code, **options))

    def lines(self, *words, **options):
        """JSON objects, one per line."""
        return [json.loads(line) for line in
                self.out(*words, "-o", "json", **options).splitlines()]

    def table(self, *words, **options):
        """The cells of a table, with its head; there are no spaces in them."""
        return [line.split() for line in self.out(*words, **options).splitlines()]


@pytest.fixture
def ottla(broker, tmp_path):
    return Commands(broker.bootstrap, tmp_path)


@pytest.fixture
def topic(ottla, request):
    """A topic of this test with three partitions."""
    name = re.sub(r"[^\w]+", "-", request.node.name).strip("-")
    ottla.run("topic", "create", name, "-p", 3)
    return name
