"""Transactional programs on librdkafka; exactly_once.py says what they do.

    exactly_once_librdkafka.py transfer TOPIC PARTITIONS NAME [SETTING=VALUE...]
    exactly_once_librdkafka.py copy FROM TO [SETTING=VALUE...]
"""
import random
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from members import input_ended, leave, say

WAIT_S = 10
OF_CONSUMERS = ("group.id", "session.timeout.ms", "heartbeat.interval.ms",
                "partition.assignment.strategy")
OF_PRODUCERS = ("transactional.id", "transaction.timeout.ms")


def until_known(call, *arguments):
    """What becomes of it is asked until it is known."""
    while True:
        try:
            return call(*arguments, WAIT_S)
        except KafkaException as error:
            print(error, file=sys.stderr, flush=True)
            if not error.args[0].retriable():
                raise


def in_transaction(producer, write):
    """Whether it was committed; write(producer) says whether that is wanted."""
    producer.begin_transaction()
    try:
        if write(producer):
            until_known(producer.commit_transaction)
            return True
    except KafkaException as error:
        if not error.args[0].txn_requires_abort():
            raise
    until_known(producer.abort_transaction)
    return False


def new_producer(settings):
    producer = Producer({key: value for key, value in settings.items() if key not in OF_CONSUMERS})
    until_known(producer.init_transactions)
    return producer


def run_transfers(topic, partitions, name, settings):
    producer = new_producer(settings)
    number = 0
    while not input_ended():
        number += 1

        def write(producer):
            amount = random.randint(1, 100)
            places = random.sample(range(int(partitions)), 2)
            for partition, change in zip(places, (-amount, amount)):
                producer.produce(topic, f"{name}/{number} {change}", partition=partition)
            if number % 5 == 0:
                producer.flush(WAIT_S)  # there is something to take back
            return number % 5 != 0

        say("committed" if in_transaction(producer, write) else "aborted", number)


def run_copies(source, target, settings):
    producer = new_producer(settings)
    consumer = Consumer({"auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "isolation.level": "read_committed",
                         **{key: value for key, value in settings.items()
                            if key not in OF_PRODUCERS}})
    consumer.subscribe([source])
    while not input_ended():
        messages = [message for message in consumer.consume(100, 0.1) if message.error() is None]
        if not messages:
            continue
        first, last = {}, {}
        for message in messages:
            first.setdefault(message.partition(), message.offset())
            last[message.partition()] = message.offset() + 1

        def write(producer):
            for message in messages:
                producer.produce(target, message.value().upper(), partition=message.partition())
            offsets = [TopicPartition(source, *item) for item in last.items()]
            until_known(producer.send_offsets_to_transaction, offsets,
                        consumer.consumer_group_metadata())
            return True

        if not in_transaction(producer, write):
            for partition in consumer.assignment():  # those that are still its own are read again
                if partition.partition in first:
                    consumer.seek(TopicPartition(source, partition.partition,
                                                 first[partition.partition]))
    leave(consumer)


def main():
    what, *arguments = sys.argv[1:]
    words = [argument for argument in arguments if "=" not in argument]
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    {"transfer": run_transfers, "copy": run_copies}[what](*words, settings)


if __name__ == "__main__":
    main()
