"""Transactions of four client libraries, while they and the node are killed again and again: nothing is
lost, doubled, half there or there although it was aborted, and nothing is stuck.

OTTLA_KILLS says how often something is killed.
"""
import os
import random
import time

import pytest
from confluent_kafka import Producer

from exactly_once import (ABORTED_EACH, CLIENTS, Copier, Reader, Teller, check_transfers,
                          read_with_libottla, read_with_librdkafka, wait_ended, wait_for)
from groups import Writer

PARTITIONS = 5
KILLS = int(os.environ.get("OTTLA_KILLS", "5"))
LONG = KILLS > 10
CLEANUP_MS = 1000
SETTINGS = {"group__initial__rebalance__delay__ms": 300,
            "group__min__session__timeout__ms": 1000,
            "transaction__abort__timed__out__transaction__cleanup__interval__ms": CLEANUP_MS}


@pytest.fixture
def start_all():
    """Starts programs, which end with the test."""
    started = []

    def start(programs):
        started.extend(programs)
        for program in programs:
            program.start()
        return programs

    yield start
    for program in started:
        program.abandon()


def kill_node(node, down_s=0.0):
    node.kill()
    time.sleep(down_s)
    node.start()


def victims(chance, programs):
    """In turns one of the programs, the node (None), or both at once."""
    order = list(programs)
    chance.shuffle(order)
    for number in range(KILLS):
        program = order[number % len(order)]
        yield ([program], [None], [program, None], [None, program])[number % 4]


def disturb(node, programs, whom, chance):
    if None in whom:
        whom = whom + [program for program in programs
                       if program.ends_with_node and program not in whom]
    for victim in whom:
        if victim is None:
            kill_node(node, chance.choice([0, 0.3]))
        else:
            victim.kill()
    for victim in whom:
        if victim is not None:
            victim.start()


def leave_open(node, topic, timeout_ms):
    """A transaction that nobody ends."""
    producer = Producer({"bootstrap.servers": node.bootstrap, "transactional.id": f"{topic}-forgotten",
                         "transaction.timeout.ms": timeout_ms, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    for partition, amount in ((0, -1), (1, 1)):
        producer.produce(topic, f"forgotten/5 {amount}", partition=partition)
    assert producer.flush(30) == 0
    return producer


@pytest.mark.timeout(1500 if LONG else 240)
def test_transfers(make_node, start_all, tmp_path):
    node = make_node(**SETTINGS).start()
    topic = node.create_topic("accounts", PARTITIONS)
    watcher = Reader(node, topic, PARTITIONS)
    tellers = start_all([Teller(node, client, topic, PARTITIONS, tmp_path) for client in CLIENTS])
    chance = random.Random(11)

    def all_go_on():
        for teller in tellers:
            wait_for(teller.goes_on(), f"{teller.name} does not commit", 90)

    all_go_on()
    for whom in victims(chance, tellers):
        disturb(node, tellers, whom, chance)
        all_go_on()
        time.sleep(chance.uniform(0, 0.3))

    # What is open when they end is of no matter to those who come back, or only for its timeout.
    for teller in tellers:
        teller.kill()
    forgotten = leave_open(node, topic, 2000)
    kill_node(node)
    for teller in tellers:
        teller.start()
    all_go_on()
    for teller in tellers:
        teller.stop()
    wait_ended(node, topic, PARTITIONS)
    forgotten.purge()

    records = read_with_librdkafka(node, topic, PARTITIONS)
    assert read_with_libottla(node, topic, PARTITIONS) == records
    wait_for(lambda: len(watcher.records) >= len(records), "the reader does not come to the end")
    watcher.stop()
    assert sorted(watcher.records) == records  # nothing that was read before has changed
    check_transfers(records, set.union(*(teller.committed for teller in tellers)),
                    set.union(*(teller.aborted for teller in tellers)))


@pytest.mark.parametrize("client", ["libottla", "franz-go"])
def test_nothing_fails_where_nothing_is_disturbed(make_node, start_all, tmp_path, client):
    """The next transaction begins while the markers of the one before are still written."""
    node = make_node(**SETTINGS).start()
    topic = node.create_topic("quiet", 2)
    teller, = start_all([Teller(node, client, topic, 2, tmp_path)])
    wait_for(teller.goes_on(1000), "transfers do not go on")
    teller.stop()
    failed = [name for name in teller.aborted if int(name.split("/")[1]) % ABORTED_EACH != 0]
    assert not failed, f"{len(failed)} of {len(teller.committed)} failed:\n{teller.log()}"
    wait_ended(node, topic, 2)
    check_transfers(read_with_librdkafka(node, topic, 2), teller.committed, teller.aborted)


@pytest.mark.timeout(1500 if LONG else 240)
def test_copies(make_node, start_all, tmp_path):
    """Members of one group."""
    node = make_node(**SETTINGS).start()
    source = node.create_topic("copied", PARTITIONS)
    target = node.create_topic("copies", PARTITIONS)
    writer = Writer(node, source, PARTITIONS)
    watcher = Reader(node, target, PARTITIONS)
    copiers = start_all([Copier(node, client, source, target, tmp_path) for client in CLIENTS])
    chance = random.Random(12)

    def all_copied(more=100):
        """What is written from now on, too."""
        enough = len(writer.delivered) + more
        wait_for(lambda: len(writer.delivered) >= enough, "nothing is written")
        wanted = set(writer.delivered)
        wait_for(lambda: all(copier.check() for copier in copiers) and wanted <= watcher.values,
                 lambda: f"not copied: {sorted(map(int, wanted - watcher.values))[:10]}", 90)

    all_copied()
    for whom in victims(chance, copiers):
        disturb(node, copiers, whom, chance)
        all_copied()
    writer.stop()
    all_copied(0)
    for copier in copiers:
        copier.stop()
    wait_ended(node, target, PARTITIONS)
    records = read_with_librdkafka(node, target, PARTITIONS)
    watcher.stop()
    assert sorted(watcher.records) == records
    assert sorted(value for _, _, value in records) == sorted(writer.delivered)
