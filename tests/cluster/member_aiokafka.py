"""A member of a group with aiokafka that says what happens to it; members.py has the lines.

    member_aiokafka.py BOOTSTRAP GROUP TOPIC [SETTING=VALUE...]
"""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from members import POLL_S, input_ended, say, say_partitions

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


class Listener(ConsumerRebalanceListener):
    async def on_partitions_assigned(self, assigned):
        say_partitions("assigned", assigned)

    async def on_partitions_revoked(self, revoked):
        say_partitions("revoked", revoked)


async def commit(consumer, done):
    try:
        await consumer.commit(done)
        for partition, offset in done.items():
            say("committed", partition.partition, offset)
    except KafkaError as error:
        say("uncommitted", repr(error))


async def run(bootstrap, group, topic, settings):
    strategy = settings.pop("partition.assignment.strategy", "range").split(",")
    options = {key.replace(".", "_"): int(value) if value.isdigit() else value
               for key, value in settings.items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group,
                                enable_auto_commit=False, auto_offset_reset="earliest",
                                partition_assignment_strategy=[ASSIGNORS[name]
                                                               for name in strategy], **options)
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    while not input_ended():
        done = {}
        for partition, records in (await consumer.getmany(timeout_ms=int(POLL_S * 1000))).items():
            for record in records:
                say("read", partition.partition, record.offset, record.value.decode())
            done[partition] = records[-1].offset + 1
        if done:
            await commit(consumer, done)
    await consumer.stop()
    say("stopped")


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:4], dict(pair.split("=", 1) for pair in sys.argv[4:])))
