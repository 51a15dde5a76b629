// A member of a group that says what happens to it; members.py has the lines.
//
//     member.js BOOTSTRAP GROUP TOPIC [SETTING=VALUE...]
'use strict'

const { AssignerProtocol, Kafka, logLevel } = require('kafkajs')

const { MemberAssignment, MemberMetadata } = AssignerProtocol
const METADATA_VERSION = 0

const [bootstrap, groupId, topic, ...pairs] = process.argv.slice(2)
const settings = Object.fromEntries(pairs.map((pair) => pair.split('=', 2)))

let mine = []

function say (kind, ...words) {
  process.stdout.write([kind, ...words].join(' ').replace(/\n/g, ' ') + '\n')
}

function sayPartitions (kind, partitions) {
  if (partitions.length > 0) {
    say(kind, ...[...partitions].sort((a, b) => a - b))
  }
}

// --- assignors under the names that other clients know; kafkajs has one of its own only ---

function byRange (partitions, members) {
  const size = Math.floor(partitions.length / members.length)
  const larger = partitions.length % members.length
  let next = 0
  return members.map((_, i) => {
    const start = next
    next += size + (i < larger ? 1 : 0)
    return partitions.slice(start, next)
  })
}

function byTurns (partitions, members) {
  return members.map((_, i) => partitions.filter((_, n) => n % members.length === i))
}

function assignor (name, share) {
  return ({ cluster }) => ({
    name,
    version: METADATA_VERSION,
    async assign ({ members }) {
      const sorted = members.map(({ memberId }) => memberId).sort()
      const partitions = cluster.findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => partitionId).sort((a, b) => a - b)
      const shares = share(partitions, sorted)
      return sorted.map((memberId, i) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({
          version: METADATA_VERSION, assignment: { [topic]: shares[i] }
        })
      }))
    },
    protocol ({ topics }) {
      const metadata = { version: METADATA_VERSION, topics, userData: Buffer.alloc(0) }
      return { name, metadata: MemberMetadata.encode(metadata) }
    }
  })
}

const ASSIGNORS = { range: assignor('range', byRange), roundrobin: assignor('roundrobin', byTurns) }

// --- the member ---

function consumerOptions () {
  const names = (settings['partition.assignment.strategy'] || 'range').split(',')
  return {
    groupId,
    partitionAssigners: names.map((name) => ASSIGNORS[name]),
    sessionTimeout: Number(settings['session.timeout.ms'] || 45000),
    heartbeatInterval: Number(settings['heartbeat.interval.ms'] || 3000),
    rebalanceTimeout: Number(settings['max.poll.interval.ms'] || 300000),
    maxWaitTimeInMs: 100,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 1000 }
  }
}

// Through the batch: kafkajs joins anew when that throws, where consumer.commitOffsets() would end it.
async function commit (batchCommit, partition, offset) {
  try {
    await batchCommit({ topics: [{ topic, partitions: [{ partition, offset: String(offset) }] }] })
    say('committed', partition, offset)
  } catch (error) {
    say('uncommitted', error.message)
    throw error
  }
}

function revoke () {
  sayPartitions('revoked', mine)
  mine = []
}

async function main () {
  const kafka = new Kafka({
    clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.ERROR,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 1000 }
  })
  const consumer = kafka.consumer(consumerOptions())
  consumer.on(consumer.events.REBALANCING, revoke)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    revoke()
    mine = payload.memberAssignment[topic] || []
    sayPartitions('assigned', mine)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    async eachBatch ({ batch, commitOffsetsIfNecessary, heartbeat, isRunning, isStale, resolveOffset }) {
      if (!isRunning() || isStale()) {
        return
      }
      for (const message of batch.messages) {
        say('read', batch.partition, message.offset, message.value.toString())
        resolveOffset(message.offset)
      }
      await commit(commitOffsetsIfNecessary, batch.partition, Number(batch.lastOffset()) + 1)
      await heartbeat()
    }
  })
  process.stdin.resume()
  process.stdin.on('end', async () => {
    await consumer.disconnect()
    revoke()
    say('stopped')
    process.exit(0)
  })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
