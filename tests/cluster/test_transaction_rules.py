"""Transactions as Java programs see them: which exception says what, what administrators see, what time
does. The same program judges Apache Kafka, so that it demands what programs have come to rely on."""
import os
import subprocess
import sys

import pytest

import builds
from members import SMALL_JVM
from node import Node

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "transcripts"))
from kafka_node import KafkaNode  # noqa: E402

# Times that TransactionExpiry waits for.
SETTINGS = {"transaction__abort__timed__out__transaction__cleanup__interval__ms": 200,
            "transactional__id__expiration__ms": 3000,
            "transaction__remove__expired__transaction__cleanup__interval__ms": 500,
            "producer__id__expiration__check__interval__ms": 200,
            "group__initial__rebalance__delay__ms": 0,
            "offsets__topic__replication__factor": 1, "offsets__topic__num__partitions": 5,
            "transaction__state__log__replication__factor": 1,
            "transaction__state__log__min__isr": 1, "transaction__state__log__num__partitions": 5}
CHECKS = ["undecided is not seen", "a fetch that waits names aborted", "copies", "fencing",
          "groups are asked", "offsets are stable", "empty and refused",
          "many partitions in every codec", "settings are refused", "deleted topics",
          "producers of a partition", "states of a transaction", "lists", "aborts by hand",
          "fences producers", "versions change", "a transaction times out",
          "producer ids are forgotten", "a transaction after that", "transactional ids are forgotten"]


def set_version(node, version):
    answer = node.rpc("UpdateFeatures:1", {"timeoutMs": 10000, "featureUpdates": [
        {"feature": "transaction.version", "maxVersionLevel": version, "upgradeType": 2}]})
    assert answer["errorCode"] == 0, answer


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("broker", ["ottla", "kafka"])
def test_transaction_rules(tmp_path, broker, version):
    node = (KafkaNode if broker == "kafka" else Node)(tmp_path / "node", **SETTINGS).start()
    try:
        if version < 2:
            set_version(node, version)
        run = subprocess.run([*builds.java("ottla.TransactionRules", *SMALL_JVM), node.bootstrap],
                             capture_output=True, text=True, timeout=400)
    finally:
        code = node.stop()
    lines = run.stdout.splitlines()
    assert [check for check in CHECKS if f"{check}: ok" not in lines] == [], run.stdout
    assert run.returncode == 0, run.stdout
    assert broker == "kafka" or code == 0, node.log()
