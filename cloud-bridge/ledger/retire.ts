import { partitionOf } from '../../config/event/partitioner.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { timeText } from '../../config/process/text-format.ts'
import type { NoteContents } from '../../gateway/store/notes/note-kinds.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createCommandClient } from '../kafka/configured-client.ts'
import { sendWithRetries } from '../retry/bounded-send.ts'
import { decodeNote } from './notes/notes.ts'
import { describeRetired, type LedgerReport } from './report.ts'
import type { StoreAssessment } from './runs/stores.ts'
import {
  createLedgerReading,
  problemText,
  type ReaderOptions,
  requireBrokers,
} from './verification.ts'

/** A store is found by so many of the first digits of its id. */
const PREFIX_MIN = 6

export type RetireOptions = Omit<ReaderOptions, 'silentAfterMs' | 'awaitedMaxMs'> & {
  /** A gateway's id, for all its stores, or the id of a store or its first digits. */
  name: string
  reason: string
  /** Only says what the retirement would combine into a hole. */
  dryRun?: boolean | undefined
  onResult(line: string): void
}

/** The stores to retire, under one gateway's name. */
type Chosen = { gateway: string; stores: StoreAssessment[] }

/**
 * Reads the topics, says what is open in the past of the stores, and writes a note to the ledger
 * topic that nothing more comes from these stores. Resolves with the exit code. Throws CannotStart
 * when Kafka is not configured or unreachable, or when Kafka refuses the note.
 */
export async function retireStores(options: RetireOptions): Promise<number> {
  const { config, name, dryRun = false, onResult, onProblem } = options
  requireBrokers(config)
  const client = await createCommandClient(config.kafka, onProblem)
  const reading = createLedgerReading(options, client.stream)
  await reading.readToEnd().catch(error => {
    throw new CannotStart(problemText(error, config))
  })
  const report = reading.report()
  const chosen = chooseStores(report, name)
  if (!chosen) {
    onProblem(notChosen(report, name))
    return exitStatusOf('ERR_NEGATIVE')
  }
  if (chosen.stores.length === 0) {
    onProblem(`No note in Kafka names a store of gateway ${name}, so no store can be retired`)
    return exitStatusOf('ERR_NEGATIVE')
  }
  const { gateway, stores } = chosen
  const value = retiredNote(chosen, options.reason)
  const nowMs = Date.now()
  reading.ledger.addNote(decodeNote(value, nowMs)!)
  for (const line of previewLines(reading.report(), chosen)) onResult(line)
  const ids = stores.map(({ store }) => store).join(', ')
  if (dryRun) {
    onResult('nothing was written (--dry-run)')
    return exitStatusOf('DONE')
  }
  await sendNote(client, config.kafka.topics.ledger, gateway, value)
  onResult(`retired: ${ids} of gateway ${gateway}`)
  return exitStatusOf('DONE')
}

function chooseStores({ gateways }: LedgerReport, name: string): Chosen | null {
  const isKnown = ({ store }: StoreAssessment) => store !== null
  const ofName = gateways.find(({ gateway }) => gateway === name)
  if (ofName) return { gateway: name, stores: ofName.stores.filter(isKnown) }
  if (name.length < PREFIX_MIN) return null
  const found = gateways.flatMap(({ gateway, stores }) =>
    stores
      .filter(({ store }) => store?.startsWith(name))
      .map(store => ({ gateway, stores: [store] })),
  )
  const ids = new Set(found.map(({ stores }) => stores[0]!.store))
  return ids.size === 1 ? found[0]! : null
}

/** Why a name means no gateway and no single store. */
function notChosen({ gateways }: LedgerReport, name: string): string {
  const idsOf = (stores: StoreAssessment[]) => stores.flatMap(({ store }) => store ?? [])
  const ids = new Set(gateways.flatMap(({ stores }) => idsOf(stores)))
  const alike = [...ids].filter(id => id.startsWith(name))
  if (alike.length > 0) {
    const found = alike.length > 1 ? 'Several stores begin' : 'A store begins'
    return `${found} with ${name}: ${alike.join(', ')}. Give more digits, at least ${PREFIX_MIN}`
  }
  const names = gateways.flatMap(({ gateway, stores }) => [gateway, ...idsOf(stores)])
  const known = names.length > 0 ? `It knows: ${names.join(', ')}` : 'It knows none'
  return `Kafka has heard of no gateway or store ${name}. ${known}`
}

function retiredNote({ gateway, stores }: Chosen, reason: string): Buffer {
  const at = Date.now()
  const ids = stores.flatMap(({ store }) => store ?? [])
  const content: NoteContents['retired'] = { stores: ids, reason }
  const facts = { gateway, store: ids[0] ?? '', origin: 'operator', sequence: at }
  return Buffer.from(JSON.stringify({ ...facts, kind: 'retired', at, content }))
}

/** What becomes a hole, and which stores are still heard. */
function previewLines({ gateways, at }: LedgerReport, { stores }: Chosen): string[] {
  const ids = new Set(stores.map(({ store }) => store))
  const holes = gateways.flatMap(({ retired }) => retired.filter(({ store }) => ids.has(store)))
  const live = stores.filter(({ state }) => state === 'complete')
  return [
    ...holes.map(describeRetired),
    ...(holes.length === 0 ? ['nothing is open in the past of the store'] : []),
    ...live.map(({ store, heardTo }) => {
      const heard = timeText(heardTo ?? at)
      return `store ${store} was heard at ${heard}; when heard later, it is judged again`
    }),
  ]
}

async function sendNote(client: KafkaClient, topic: string, gateway: string, value: Buffer) {
  const key = Buffer.from(gateway)
  const partition = partitionOf(key, await client.topics.partitionsOf(topic))
  await using sink = client.openSink()
  const headers = { 'content-type': 'application/json' }
  const records = [{ key, partition, value, headers }]
  const [fate] = await sendWithRetries(sink, { topic, records })
  if (fate !== null) throw new CannotStart(`Kafka refuses the note: ${fate}`)
}
