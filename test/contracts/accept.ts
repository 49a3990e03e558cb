import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AcceptHandover, Handover } from '../../gateway/mqtt/broker.ts'

/** An accept under test, and what a test needs to do to the disk behind it. */
export type AcceptRig = AsyncDisposable & {
  accept: AcceptHandover
  /** The numbers of the durable messages, in order, as another process finds them. */
  stored(): number[]
  /** Delays all commits until the returned function is called: nothing becomes durable before. */
  hold(): () => void
  /** Messages of the zone `refused` cannot be stored until the returned function is called. */
  refuse(): () => void
}

/** A message that carries a number, in a zone of its own. */
export function numbered(number: number, zone = 'z', packet: [string, number] | null = null) {
  const topic = `building/hq/zone/${zone}/sensor/d`
  const payload = Buffer.from(JSON.stringify({ n: number }))
  const qos2Key = packet && { clientId: packet[0], packetId: packet[1] }
  return { kind: 'message', topic, payload, receivedAt: 1000 + number, qos2Key } as const
}

/**
 * How long a test waits for a result that must not arrive yet. A wrong early result arrives within
 * this time; a correct implementation passes whatever the time.
 */
const A_WHILE_MS = 50

/** The contract of the port Accept, for every implementation. */
export function describeAccept(name: string, openRig: () => Promise<AcceptRig>): void {
  describe(`accept, ${name}`, () => {
    let rig: AcceptRig
    beforeEach(async () => {
      rig = await openRig()
    })
    afterEach(() => rig[Symbol.asyncDispose]())

    /** Hands all messages over at once; `fates` are in the order in which they become known. */
    const startAll = (handovers: [string, Handover, object][]) => {
      const fates: string[] = []
      const results = handovers.map(([label, handover, sender]) =>
        rig.accept(handover, sender).then(
          () => fates.push(`${label} stored`),
          () => fates.push(`${label} refused`),
        ),
      )
      return { fates, done: Promise.all(results) }
    }
    const messages = (numbers: number[], sender: object, zone = 'z') =>
      numbers.map((n): [string, Handover, object] => [`${n}`, numbered(n, zone), sender])

    it('resolves when the message is durable', async () => {
      for (const n of [1, 2, 3]) {
        await rig.accept(numbered(n), {})
        expect(rig.stored()).toEqual([1, 2, 3].slice(0, n))
      }
    })

    it('does not resolve before the message is durable', async () => {
      const release = rig.hold()
      const { fates, done } = startAll([
        ...messages([1, 2], {}),
        ['release', { kind: 'release', qos2Key: { clientId: 'c', packetId: 1 } }, {}],
        ['forget', { kind: 'forget', clientId: 'c' }, {}],
        ...messages([3], {}),
      ])
      await sleep(A_WHILE_MS)
      expect(fates).toEqual([])
      expect(rig.stored()).toEqual([])
      release()
      await done
      expect(fates).toEqual(['1 stored', '2 stored', 'release stored', 'forget stored', '3 stored'])
      expect(rig.stored()).toEqual([1, 2, 3])
    })

    it('resolves and stores in the order of the calls, over many senders', async () => {
      const senders = [{}, {}, {}]
      const numbers = Array.from({ length: 300 }, (_, n) => n)
      const { fates, done } = startAll(
        numbers.flatMap(n => messages([n], senders[n % 3]!, `z${n % 2}`)),
      )
      await done
      expect(fates).toEqual(numbers.map(n => `${n} stored`))
      expect(rig.stored()).toEqual(numbers)
    })

    it('rejects a message that cannot be stored and all later ones of its sender, and no others', async () => {
      const [one, other] = [{}, {}]
      await rig.accept(numbered(1), one)
      const repair = rig.refuse()
      const { fates, done } = startAll([
        ...messages([2], one, 'refused'),
        ...messages([3], other),
        ...messages([4], one),
        ...messages([5], other),
        ['forget', { kind: 'forget', clientId: 'c' }, one],
      ])
      await done
      repair()
      const withWord = (label: string) => fates.filter(fate => fate.includes(label)).sort()
      expect(withWord('refused')).toEqual(['2 refused', '4 refused', 'forget refused'])
      expect(withWord('stored')).toEqual(['3 stored', '5 stored'])
      await expect(rig.accept(numbered(6), one)).rejects.toThrow()
      await rig.accept(numbered(7), other)
      await rig.accept(numbered(8), {})
      expect(rig.stored()).toEqual([1, 3, 5, 7, 8])
    })

    it('dead-letters a message that cannot be decoded, and resolves', async () => {
      await rig.accept({ ...numbered(1), payload: Buffer.from('no JSON') }, {})
      await rig.accept({ ...numbered(2), topic: 'no/route' }, {})
      await rig.accept(numbered(3), {})
      expect(rig.stored()).toEqual([3])
    })

    it('stores a QoS 2 message once until it is released or forgotten', async () => {
      const [sender, laterSender] = [{}, {}]
      await rig.accept(numbered(1, 'z', ['c', 5]), sender)
      await rig.accept(numbered(1, 'z', ['c', 5]), laterSender)
      expect(rig.stored()).toEqual([1])
      await rig.accept({ kind: 'release', qos2Key: { clientId: 'c', packetId: 5 } }, laterSender)
      await rig.accept(numbered(1, 'z', ['c', 5]), laterSender)
      expect(rig.stored()).toEqual([1, 1])
      await rig.accept({ kind: 'forget', clientId: 'c' }, laterSender)
      await rig.accept(numbered(1, 'z', ['c', 5]), laterSender)
      expect(rig.stored()).toEqual([1, 1, 1])
    })

    it('accepts the same packet id of another client, or with other content, as a new message', async () => {
      await rig.accept(numbered(1, 'z', ['c', 5]), {})
      await rig.accept(numbered(1, 'z', ['d', 5]), {})
      await rig.accept(numbered(2, 'z', ['c', 5]), {})
      await rig.accept(numbered(2, 'y', ['c', 5]), {})
      expect(rig.stored()).toEqual([1, 1, 2, 2])
    })

    it('does not remember a QoS 2 message that could not be stored', async () => {
      const repair = rig.refuse()
      await expect(rig.accept(numbered(1, 'refused', ['c', 5]), {})).rejects.toThrow()
      repair()
      await rig.accept(numbered(1, 'refused', ['c', 5]), {})
      expect(rig.stored()).toEqual([1])
    })
  })
}
