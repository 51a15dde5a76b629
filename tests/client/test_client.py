"""The client library's programs, each against Ottla and against Apache Kafka.

A program is C with cmocka (*_suite.c); what it needs of a broker it makes itself, under names of its
own, so all of them share one."""
import glob
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "transcripts"))

from kafka_node import KafkaNode  # noqa: E402
from node import OTTLA, Node  # noqa: E402

SUITES = sorted(glob.glob(os.path.join(os.path.dirname(OTTLA), "tests", "client", "*_suite")))
SUITE_SECONDS = 300
NOT_THERE = 77  # what a suite ends with when the broker does not have its APIs
SETTINGS = {"offsets__topic__replication__factor": 1, "group__initial__rebalance__delay__ms": 300,
            "transaction__state__log__replication__factor": 1,
            "transaction__state__log__min__isr": 1,
            "transaction__partition__verification__enable": "false",  # so that some can hang
            "share__coordinator__state__topic__min__isr": 1,
            "share__coordinator__state__topic__replication__factor": 1}


@pytest.fixture(scope="module", params=[Node, KafkaNode], ids=["ottla", "kafka"])
def broker(request, tmp_path_factory):
    node = request.param(tmp_path_factory.mktemp("broker"), **SETTINGS).start()
    yield node
    assert node.stop() in (0, 143), node.log()


def test_there_are_programs():
    assert SUITES, "the build has none; were the tests enabled?"


@pytest.mark.parametrize("suite", SUITES, ids=os.path.basename)
def test_suite(broker, suite):
    run = subprocess.run([suite], capture_output=True, text=True, timeout=SUITE_SECONDS,
                         env={**os.environ, "OTTLA_TEST_BOOTSTRAP": broker.bootstrap,
                              "OTTLA_TEST_BROKER": type(broker).__name__})
    if run.returncode == NOT_THERE:
        pytest.skip(run.stdout.strip())
    assert run.returncode == 0, run.stdout + run.stderr
