import type { Frame } from './framing.ts'

/** From this version on, lengths are varints and structures end with tagged fields. */
const FLEXIBLE_FROM = 9

/**
 * The partitions in a Produce request, of all its topics
 * (https://kafka.apache.org/protocol#The_Messages_Produce, version 3 and later).
 */
export function producePartitions({ bytes, version }: Frame): number[] {
  const isFlexible = version >= FLEXIBLE_FROM
  let at = 12 // after size, api key, version and correlation id
  const advance = (length: number) => {
    at += length
    return at - length
  }
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[advance(1)]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const int16 = () => bytes.readInt16BE(advance(2))
  const int32 = () => bytes.readInt32BE(advance(4))
  const skip = (length: number) => void advance(Math.max(0, length))
  const count = () => (isFlexible ? varint() - 1 : int32())
  const skipText = () => skip(isFlexible ? varint() - 1 : int16())
  const skipTags = () => {
    for (let left = isFlexible ? varint() : 0; left > 0; left--) {
      varint()
      skip(varint())
    }
  }
  skip(int16()) // client id: always in the old form
  skipTags()
  skipText() // transactional id
  skip(6) // acks, timeout
  const partitionNumbers: number[] = []
  for (let topics = count(); topics > 0; topics--) {
    // From version 13 on, a topic has an id instead of its name.
    if (version >= 13) skip(16)
    else skipText()
    for (let partitions = count(); partitions > 0; partitions--) {
      partitionNumbers.push(int32())
      skip(count())
      skipTags()
    }
    skipTags()
  }
  return partitionNumbers
}
