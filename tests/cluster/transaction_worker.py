"""A consume-transform-produce job, which test_transactions_killed.py starts and kills at will:
transaction_worker.py BOOTSTRAP NAME SEED. It ends with 1 when it cannot go on; who started it
starts it again, as a supervisor would."""
import random
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

GROUP, SOURCE, TARGET = "movers", "source", "target"


def positions_of(consumer):
    return [each for each in consumer.position(consumer.assignment()) if each.offset >= 0]


def rewind(consumer):
    """To where the group is: what was aborted comes again."""
    for each in consumer.committed(consumer.assignment(), 30):
        consumer.seek(TopicPartition(each.topic, each.partition, max(each.offset, 0)))


def main(bootstrap, name, seed):
    rng = random.Random(seed)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "linger.ms": 0,
                         "transaction.timeout.ms": 6000})
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP,
                         "isolation.level": "read_committed", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "session.timeout.ms": 6000,
                         "heartbeat.interval.ms": 500})
    consumer.subscribe([SOURCE])
    producer.init_transactions(30)
    while True:
        messages = [each for each in consumer.consume(rng.randint(1, 20), 0.5) if not each.error()]
        if not messages:
            continue
        producer.begin_transaction()
        for each in messages:
            producer.produce(TARGET, each.value(), partition=rng.randrange(3))
        producer.send_offsets_to_transaction(positions_of(consumer),
                                             consumer.consumer_group_metadata(), 20)
        if rng.random() < 0.15:
            producer.abort_transaction(20)
            rewind(consumer)
        else:
            producer.commit_transaction(20)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except KafkaException as error:
        print(error, file=sys.stderr)
        sys.exit(1)
