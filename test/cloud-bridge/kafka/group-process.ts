// A member in a process that a test kills. Prints its partitions, one line per assignment.

import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { SESSION_MS } from '../../contracts/session.ts'

const [options, groupId, topics] = JSON.parse(process.argv[2]!) as [KafkaOptions, string, string[]]
const { group } = await createKafkaClient(options)
await group.consume(
  {
    groupId,
    topics,
    sessionMs: SESSION_MS,
    async onAssigned(partitions) {
      process.stdout.write(`${partitions}\n`)
      return new Map()
    },
    async onRecords() {},
  },
  new AbortController().signal,
)
