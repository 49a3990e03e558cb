/** How many messages, of all devices or of one. */
export interface MessageTally {
  published: number
  acknowledged: number
  /** Messages that were sent more than once, not how often. */
  resent: number
}

/**
 * What devices published and saw acknowledged, by message number: the oracle of a verdict. A
 * message takes 4 bytes, so a hundred million fit. Devices are named by their place in a list.
 */
export interface PublishRecord {
  readonly total: Readonly<MessageTally>
  /** One more than the highest message number published; numbers from 0 up. */
  readonly length: number
  publish(number: number, deviceIndex: number): void
  acknowledge(number: number): void
  resend(number: number): void
  /** What is known of a message, or undefined if it was never published. */
  messageAt(number: number): MessageRecord | undefined
  /** The tally of one device. */
  tallyOf(deviceIndex: number): MessageTally
  isAcknowledged(number: number): boolean
}

export interface MessageRecord {
  readonly deviceIndex: number
  readonly acknowledged: boolean
  readonly resent: boolean
}

const blockLength = 65_536
const published = 1
const acknowledged = 2
const resent = 4
const deviceShift = 3
const devicesMax = 2 ** (32 - deviceShift)

/** An empty record for a number of devices. It grows in blocks; what is written is never copied. */
export function createPublishRecord(devices: number): PublishRecord {
  if (devices > devicesMax) throw new RangeError(`at most ${devicesMax} devices, not ${devices}`)
  const blocks: Uint32Array[] = []
  const perDevice = { acknowledged: new Uint32Array(devices), resent: new Uint32Array(devices) }
  const publishedOf = new Uint32Array(devices)
  const total: MessageTally = { published: 0, acknowledged: 0, resent: 0 }
  let length = 0
  const read = (number: number) =>
    blocks[Math.floor(number / blockLength)]?.[number % blockLength] ?? 0
  const write = (number: number, word: number) => {
    const block = Math.floor(number / blockLength)
    while (blocks.length <= block) blocks.push(new Uint32Array(blockLength))
    blocks[block]![number % blockLength] = word
  }
  const mark = (number: number, bit: number, what: 'acknowledged' | 'resent') => {
    const word = read(number)
    if (!(word & published)) throw new Error(`message ${number} was ${what} but never published`)
    if (word & bit) return
    write(number, word | bit)
    total[what]++
    perDevice[what][word >>> deviceShift]!++
  }
  return {
    total,
    get length() {
      return length
    },
    publish(number, deviceIndex) {
      if (read(number) & published) throw new Error(`message ${number} was published before`)
      write(number, ((deviceIndex << deviceShift) | published) >>> 0)
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
        deviceIndex: word >>> deviceShift,
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
