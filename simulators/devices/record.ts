/** Counts of messages, of all devices or of one. */
export type MessageTally = {
  published: number
  acknowledged: number
  /** Messages that were sent more than once, however often each message was resent. */
  resent: number
}

/**
 * The devices' own record of published and acknowledged messages, by message number. A verdict
 * trusts this record and compares Kafka with it. A message occupies 4 bytes, so that the record of
 * a hundred million messages fits into memory. The record names a device by its index.
 */
export type PublishRecord = {
  readonly total: Readonly<MessageTally>
  /** One more than the highest published message number; 0 before the first message. */
  readonly length: number
  publish(number: number, deviceIndex: number): void
  acknowledge(number: number): void
  resend(number: number): void
  /** The record of one message, or undefined if it was never published. */
  messageAt(number: number): MessageRecord | undefined
  /** The tally of one device. */
  tallyOf(deviceIndex: number): MessageTally
  isAcknowledged(number: number): boolean
}

export type MessageRecord = {
  deviceIndex: number
  acknowledged: boolean
  resent: boolean
}

const BLOCK_LENGTH = 65_536
const published = 1
const acknowledged = 2
const resent = 4
const DEVICE_SHIFT = 3
const DEVICES_MAX = 2 ** (32 - DEVICE_SHIFT)

/**
 * Creates an empty record. The record grows by blocks, so that growth copies nothing. Throws a
 * RangeError for more than 2^29 devices.
 */
export function createPublishRecord(devices: number): PublishRecord {
  if (devices > DEVICES_MAX)
    throw new RangeError(`devices is ${devices}: give at most ${DEVICES_MAX}`)
  const blocks: Uint32Array[] = []
  const perDevice = { acknowledged: new Uint32Array(devices), resent: new Uint32Array(devices) }
  const publishedOf = new Uint32Array(devices)
  const total: MessageTally = { published: 0, acknowledged: 0, resent: 0 }
  let length = 0
  const read = (number: number) =>
    blocks[Math.floor(number / BLOCK_LENGTH)]?.[number % BLOCK_LENGTH] ?? 0
  const write = (number: number, word: number) => {
    const block = Math.floor(number / BLOCK_LENGTH)
    while (blocks.length <= block) blocks.push(new Uint32Array(BLOCK_LENGTH))
    blocks[block]![number % BLOCK_LENGTH] = word
  }
  const mark = (number: number, bit: number, state: 'acknowledged' | 'resent') => {
    const word = read(number)
    if (!(word & published)) throw new Error(`message ${number} was ${state} but never published`)
    if (word & bit) return
    write(number, word | bit)
    total[state]++
    perDevice[state][word >>> DEVICE_SHIFT]!++
  }
  return {
    total,
    get length() {
      return length
    },
    publish(number, deviceIndex) {
      if (read(number) & published) throw new Error(`message ${number} was published before`)
      write(number, ((deviceIndex << DEVICE_SHIFT) | published) >>> 0)
      length = Math.max(length, number + 1)
      total.published++
      publishedOf[deviceIndex]!++
    },
    acknowledge: number => mark(number, acknowledged, 'acknowledged'),
    resend: number => mark(number, resent, 'resent'),
    messageAt(number) {
      const word = read(number)
      if (!(word & published)) return undefined
      return {
        deviceIndex: word >>> DEVICE_SHIFT,
        acknowledged: (word & acknowledged) !== 0,
        resent: (word & resent) !== 0,
      }
    },
    tallyOf: deviceIndex => ({
      published: publishedOf[deviceIndex] ?? 0,
      acknowledged: perDevice.acknowledged[deviceIndex] ?? 0,
      resent: perDevice.resent[deviceIndex] ?? 0,
    }),
    isAcknowledged: number => (read(number) & acknowledged) !== 0,
  }
}
