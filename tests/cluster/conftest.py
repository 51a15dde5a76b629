import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from groups import Group  # noqa: E402
from node import Node  # noqa: E402


@pytest.fixture
def make_node(tmp_path):
    """Makes nodes of this test; all are stopped at its end, and none may have crashed."""
    nodes = []

    def make(name="node", **settings):
        node = Node(tmp_path / name, **settings)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        if node.process is not None and node.process.poll() is None:
            code = node.stop()
            assert code == 0, node.log()


@pytest.fixture
def node(make_node):
    return make_node().start()


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    """One node for all tests of a module that do not disturb each other."""
    node = Node(tmp_path_factory.mktemp("shared")).start()
    yield node
    assert node.stop() == 0, node.log()


@pytest.fixture(scope="module")
def groups_node(tmp_path_factory):
    """One node for the groups of a module; those that begin are soon complete."""
    node = Node(tmp_path_factory.mktemp("groups"), group__initial__rebalance__delay__ms=300).start()
    yield node
    assert node.stop() == 0, node.log()


@pytest.fixture
def make_group(tmp_path):
    """Makes groups of this test, with a topic for each; what still runs of them is ended with it."""
    groups = []

    def make(node, name, partitions=6, **settings):
        groups.append(Group(node, name, partitions, tmp_path, **settings))
        return groups[-1]

    yield make
    for group in groups:
        group.abandon()
