"""Every API of administration answers as Apache Kafka does, to the word of its errors."""
import json
import os

import pytest

import admin_answers

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "admin")


@pytest.mark.parametrize("listener", ["broker", "controller"])
def test_answers(node, listener):
    address = node.bootstrap if listener == "broker" else node.controller
    cases, _ = admin_answers.read(os.path.join(FOLDER, listener + ".txt"))
    assert cases
    for case in cases:
        wanted = json.loads(case.ours or case.theirs)
        found = admin_answers.ask(address, case.api, case.body)
        assert found == wanted, f"{case.api} {case.body}"
