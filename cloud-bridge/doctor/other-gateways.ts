import type { Config } from '../../config/config.ts'
import { pause } from '../../config/process/pause.ts'
import { openOutboxReader } from '../../gateway/store/read/outbox-reader.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { type OwnRun, readLedgerWarnings } from '../watch/ledger-watch.ts'
import { type Check, type Finding, warning } from './finding.ts'

const SUBJECT = 'other gateways'
/** Without an answer in this time the findings on Kafka say why. */
const READ_WITHIN_MS = 8000

/**
 * Whether the ledger topic shows another gateway with a copy of this store or with this gateway's
 * id. There is no finding while Kafka or the outbox cannot be read, and without the right to read
 * the ledger topic, which the bridge does not need.
 */
export function otherGatewaysCheck(
  { outbox, kafka }: Pick<Config, 'outbox' | 'kafka'>,
  createClient: (brokers: readonly string[]) => Promise<Pick<KafkaClient, 'stream'>>,
): Check {
  return {
    subject: SUBJECT,
    async run() {
      const own = readOwnRun(outbox.file)
      if (!own || kafka.brokers.length === 0) return []
      const { stream } = await createClient(kafka.brokers)
      const reading = readLedgerWarnings(stream, kafka.topics.ledger, own).catch(() => [])
      const done = new AbortController()
      const texts = await Promise.race([reading, pause(READ_WITHIN_MS, done.signal)])
      done.abort()
      return (texts ?? []).map(findingOf)
    },
  }
}

function readOwnRun(outboxFile: string): OwnRun | null {
  const reader = openOutboxReader(outboxFile)
  if (!reader) return null
  const store = reader.store.toString('hex')
  const own = { store, ...reader.readRun() }
  reader.close()
  return own
}

/** The cure follows the first sentence. */
function findingOf(text: string): Finding {
  const end = text.indexOf('. ')
  return warning(SUBJECT, text.slice(0, end), text.slice(end + 2))
}
