"""Transactions for the tests of what looks at them: some that go on, some that ended, and some that
hang, which no client library makes."""
import json
import subprocess
import time

import raw
from confluent_kafka import Producer
from node import OTTLA

TIMEOUT_MS = 600_000
SECONDS = 30
TRANSACTIONAL = 0x10


def has_apis(broker, names):
    """Whether the broker says that it has these APIs."""
    said = subprocess.run([OTTLA, "kafka-broker-api-versions", "--bootstrap-server",
                           broker.bootstrap], capture_output=True, text=True, check=True).stdout
    lines = {line.split("(")[0].strip(): line for line in said.splitlines()}
    return all(name in lines and "UNSUPPORTED" not in lines[name] for name in names)


class Transactions:
    def __init__(self, broker):
        self.broker = broker
        self.producers = {}

    def begin(self, id, *partitions):
        """Open, with a record in each ("topic:0") of the partitions."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "transactional.id": id,
                             "transaction.timeout.ms": TIMEOUT_MS})
        producer.init_transactions(SECONDS)
        producer.begin_transaction()
        for partition in partitions:
            topic, number = partition.rsplit(":", 1)
            producer.produce(topic, b"value", partition=int(number))
        assert producer.flush(SECONDS) == 0
        self.producers[id] = producer

    def commit(self, id, *partitions):
        """And its markers are written: a coordinator answers before."""
        self.begin(id, *partitions)
        self.producers.pop(id).commit_transaction(SECONDS)
        self.await_state(id, "CompleteCommit")

    def abort(self, id, *partitions):
        self.begin(id, *partitions)
        self.producers.pop(id).abort_transaction(SECONDS)
        self.await_state(id, "CompleteAbort")

    def await_state(self, id, state):
        deadline = time.monotonic() + SECONDS
        while self.state_of(id) != state:
            assert time.monotonic() < deadline, f"{id} is not {state}"
            time.sleep(0.05)

    def state_of(self, id):
        told = self.rpc("DescribeTransactions:0", {"transactionalIds": [id]})
        return told["transactionStates"][0]["transactionState"]

    def hang(self, id, topic, partition, minutes="0"):
        """A batch of a transaction that nobody told the coordinator about, written long ago. Returns
        the producer's id. (Brokers that verify partitions refuse it.)"""
        producer = self.producer_of(id)
        then = int(time.time() * 1000) - int(minutes) * 60_000
        sent = raw.batch(b"one", b"two", attributes=TRANSACTIONAL, timestamp=then,
                         producer=(*producer, 0))
        body = raw.text(id) + raw.produce_body(topic, sent, partition=int(partition))[2:]
        with raw.Connection(self.broker.port) as connection:
            answer = connection.call(raw.PRODUCE, 7, body)
        answer.take("i"), answer.text(), answer.take("i")
        _, error, *_ = answer.take("ihqqq")
        assert error == 0, error
        return producer[0]

    def producer_of(self, id):
        """(producer id, epoch), as a producer gets them; its coordinator may have to wake up."""
        asked = {"transactionalId": id, "transactionTimeoutMs": TIMEOUT_MS, "producerId": -1,
                 "producerEpoch": -1}
        deadline = time.monotonic() + SECONDS
        while True:
            self.rpc("FindCoordinator:4", {"keyType": 1, "coordinatorKeys": [id]})
            told = self.rpc("InitProducerId:4", asked)
            if told["errorCode"] == 0:
                return told["producerId"], told["producerEpoch"]
            assert time.monotonic() < deadline, told
            time.sleep(0.1)

    def rpc(self, what, request):
        run = subprocess.run([OTTLA, "rpc", self.broker.bootstrap, what, json.dumps(request)],
                             capture_output=True, text=True, check=True, timeout=SECONDS)
        return json.loads(run.stdout)

    def stop(self):
        for producer in self.producers.values():
            try:
                producer.abort_transaction(SECONDS)
            except Exception:  # fenced meanwhile, or the test failed
                pass
