import type { Card, CardFiles } from './simulated-card.ts'
import { partitionOf, type Reading } from './simulated-topics.ts'
import { BATCH_MAX, type World } from './world.ts'

/** A step of a history: its name, and three numbers below 1000 that choose the details. */
export type Step = readonly [name: StepName, a: number, b: number, c: number]

const ZONES = ['a', 'b', 'c']
const NAMES = ['gw', 'other']
const chosen = <T>(list: readonly T[], number: number): T | undefined => list[number % list.length]
const copy = (files: CardFiles): CardFiles => structuredClone(files)
const onCards = (world: World) => world.cards.filter(({ state }) => state === 'on')

type Action = (world: World, card: Card, b: number, c: number) => void

/** How often each step occurs, and what it does to a card that is on. */
const actions = {
  accept: [12, (world, card, b, c) => world.accept(card, 1 + (b % 6), chosen(ZONES, c)!)],
  send: [10, (world, card, b) => world.send(card, 1 + (b % 9))],
  beat: [8, (world, card) => world.beat(card)],
  sendNotes: [9, (world, card) => world.sendNotes(card)],
  restart: [2, (world, card, b) => restart(world, card, b)],
  wait: [3, (world, _, b) => pass(world, b * 200)],
  waitMinutes: [1, (world, _, b) => pass(world, 60_000 + b * 600)],
  sendTwice: [2, sendTwice],
  defer: [1, (world, card) => world.defer(card)],
  backfill: [2, (world, card) => world.backfill(card)],
  drop: [1, (world, card, b) => world.drop(card, 1 + (b % 3))],
  damage: [2, (world, card, b) => world.damage(card, 1 + (b % 4))],
  image: [2, (_, card) => card.images.push(copy(card.files))],
  restoreCard: [1, (world, card, b) => restore(world, card, b, 'card')],
  restoreOutbox: [1, (world, card, b) => restore(world, card, b, 'outbox')],
  clone: [1, clone],
  snapshot: [1, snapshot],
  replaceCard: [1, (world, card) => replaceCard(world, card)],
  secondGateway: [1, (world, card) => void world.addCard(card.files.outbox.gateway)],
  rename: [1, (world, card, b) => world.start(card, chosen(NAMES, b))],
  unplug: [1, (_, card) => void Object.assign(card, { state: 'off' })],
  plug: [2, plug],
  loseRecord: [1, loseRecord],
  expireReadings: [1, (world, _, b) => expire(world, b, 'readings')],
  expireBoth: [1, (world, _, b) => expire(world, b, 'both')],
  expireNotes: [1, (world, _, b) => expire(world, b, 'notes')],
  emptyNotes: [1, emptyNotes],
  retire: [1, retire],
  check: [6, () => {}],
} satisfies Record<string, [weight: number, Action]>

export type StepName = keyof typeof actions

/** All step names, each as often as its weight; `more` adds to the weights. */
export const weightedSteps = (more: Partial<Record<StepName, number>> = {}): StepName[] =>
  (Object.keys(actions) as StepName[]).flatMap(name =>
    Array.from({ length: actions[name][0] + (more[name] ?? 0) }, () => name),
  )

/** Runs one step; a step that needs a card that is on does nothing without one. */
export function runStep(world: World, [name, a, b, c]: Step): void {
  pass(world, 500 + b)
  const card = chosen(onCards(world), a) ?? (name === 'plug' ? world.cards[0] : undefined)
  if (card) actions[name][1](world, card, b, c)
  world.markLost()
}

/** Lets every card that is not dead deliver everything and report its heads. */
export function deliverAll(world: World): void {
  // Longer than a gateway may be silent, so that a dead card is noticed.
  pass(world, 40_000)
  const live = world.cards.filter(({ state }) => state !== 'dead')
  for (const card of live) {
    if (card.state === 'off') world.start(card)
    card.state = 'on'
    world.backfill(card)
    world.send(card, Number.POSITIVE_INFINITY)
    world.sendNotes(card)
  }
  pass(world, 100)
  for (const card of live) {
    world.accept(card, 1, ZONES[0]!)
    world.send(card, Number.POSITIVE_INFINITY)
    world.beat(card)
    world.sendNotes(card)
  }
  world.markLost()
  pass(world, 100)
}

function pass(world: World, ms: number): void {
  world.nowMs += ms
}

function restart(world: World, card: Card, b: number): void {
  if (b % 2 === 0) world.beat(card)
  world.start(card)
}

function sendTwice(world: World, card: Card, b: number): void {
  const { outbox, inbox } = card.files
  const sent = outbox.readings.filter(
    ({ sequence, key }) => sequence < inbox.next && world.fates.get(key)!.delivered,
  )
  for (const reading of sent.slice(-1 - (b % BATCH_MAX))) world.deliver(reading)
}

/** Puts an image back: the complete card, or the outbox alone. The gateway then starts. */
function restore(world: World, card: Card, b: number, what: 'card' | 'outbox'): void {
  const image = chosen(card.images, b)
  if (!image) return
  const { outbox } = copy(image)
  const isOlder = JSON.stringify(outbox) !== JSON.stringify(card.files.outbox)
  if (isOlder) world.flaws.add('an older image')
  card.files = what === 'card' ? copy(image) : { ...card.files, outbox }
  world.start(card)
}

function clone(world: World, card: Card): void {
  const second: Card = { state: 'on', images: [], files: copy(card.files) }
  world.cards.push(second)
  world.start(second)
}

/** A snapshot of a machine with its memory: two gateways go on in one epoch. */
function snapshot(world: World, card: Card): void {
  world.flaws.add('a snapshot with memory')
  world.sharedRuns.add(card.files.outbox.epoch)
  world.cards.push({ state: 'on', images: [], files: copy(card.files) })
}

function replaceCard(world: World, card: Card): void {
  world.flaws.add('a dead card')
  card.state = 'dead'
  world.addCard(card.files.outbox.gateway)
}

function plug(world: World): void {
  const card = world.cards.find(({ state }) => state === 'off')
  if (!card) return
  card.state = 'on'
  world.start(card)
}

function loseRecord(world: World, _: Card, b: number, c: number): void {
  const partitions = world.topics.readings.flatMap(({ records }, partition) =>
    records.length > 0 ? [{ partition, count: records.length }] : [],
  )
  const { partition, count } = chosen(partitions, b) ?? { partition: 0, count: 1 }
  const lost = world.topics.loseReading(partition, c % count)
  if (!lost) return
  world.flaws.add('a lost record')
  const { readings, backfill } = world.topics
  const isLeft = [...readings, ...backfill].some(({ records }) =>
    records.some(({ value }) => value.key === lost.key),
  )
  if (!isLeft)
    Object.assign(world.fates.get(lost.key)!, { delivered: false, lostAtMs: world.nowMs })
}

/** `both`: Kafka keeps the notes as long as the readings. */
function expire(world: World, b: number, topic: 'readings' | 'notes' | 'both'): void {
  const beforeMs = world.nowMs - b * 100
  if (topic !== 'readings') world.flaws.add('the ledger topic lacks notes')
  const expired = topic === 'notes' ? [] : world.topics.expireReadings(beforeMs)
  for (const { epoch, sequence } of expired) {
    // Kafka keeps readings for longer than notes need to arrive.
    if (!world.isClaimed(epoch, sequence)) world.flaws.add('readings expired before their notes')
  }
  // Copies of one card break the order in a partition: the ledger may call expired numbers missing.
  const stores = world.cards.map(({ files: { outbox } }) => outbox.store)
  if (expired.length > 0 && new Set(stores).size < stores.length)
    world.flaws.add('readings of a copied card expired')
  // Beside another store's records, nothing tells the ledger how many of a store's were deleted.
  const kept = world.topics.readings.flatMap(({ records }) => records.map(({ value }) => value))
  const partitionsOf = (readings: readonly Reading[]) =>
    new Set(readings.map(reading => `${partitionOf(reading)} ${reading.epoch}`))
  const keptPlaces = partitionsOf(kept)
  if ([...partitionsOf(expired)].some(place => !keptPlaces.has(place)))
    world.flaws.add('all readings of a run in a partition expired')
  if (topic !== 'readings') world.topics.expireNotes(beforeMs)
}

function emptyNotes(world: World): void {
  world.flaws.add('the ledger topic lacks notes')
  world.topics.emptyNotes()
}

/** An operator retires the store of a card, as `./sluice ledger retire` does. */
function retire(world: World, _: Card, b: number): void {
  const { gateway, store } = chosen(world.cards, b)!.files.outbox
  world.flaws.add('a retired store')
  const facts = { gateway, store, origin: 'operator' as const, sequence: world.nowMs }
  const content = { stores: [store], reason: 'broken' }
  const note = { ...facts, kind: 'retired', at: world.nowMs, content }
  world.topics.addNote(note, world.nowMs)
  world.retiredMs.set(store, world.nowMs)
}
