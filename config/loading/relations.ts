import { resolve } from 'node:path'
import type { Settings } from '../schema.ts'
import { hostsOverlap, isLoopback } from '../syntax/hosts.ts'
import {
  lanesMax,
  parseTopicPattern,
  routeFaults,
  shadows,
  standardLane,
  type TopicLevel,
} from '../syntax/routes.ts'
import type { Finding } from './faults.ts'
import type { KeyPath } from './keys.ts'
import { isGroup, valueAt } from './nested-values.ts'
import { nearestNames } from './suggestion.ts'

/**
 * Returns faults in relations between keys that are each valid alone. `path` and `others` name the
 * keys of a relation.
 */
export function checkRelations(settings: Settings): Finding[] {
  const rules = [
    ...[reachableListener, overlappingListeners, sizes, backoff, bounds, windows],
    ...[writerWatch, laneCount, unknownLanes, timeZones, sameFile, sameTopics, tlsPair],
    registryLogin,
  ]
  return rules
    .flatMap(rule => rule(settings))
    .map(finding => ({ ...finding, value: valueAt(settings, finding.path) }))
}

function reachableListener({ gateway: { mqtt } }: Settings): Finding[] {
  if (isLoopback(mqtt.host) || mqtt.allowAnonymous) return []
  return [
    {
      path: ['gateway', 'mqtt', 'host'],
      others: [['gateway', 'mqtt', 'allowAnonymous']],
      reason: 'accepts connections from the network without authentication',
      cure:
        'Listen on 127.0.0.1, or set gateway.mqtt.allowAnonymous: true to let everybody publish ' +
        '(authentication of devices comes with a later version)',
    },
  ]
}

function overlappingListeners({ gateway: { mqtt, http } }: Settings): Finding[] {
  if (mqtt.port !== http.port || !hostsOverlap(mqtt.host, http.host)) return []
  return [
    {
      path: ['gateway', 'http', 'port'],
      others: [
        ['gateway', 'mqtt', 'port'],
        ['gateway', 'http', 'host'],
        ['gateway', 'mqtt', 'host'],
      ],
      reason: 'is also the port of gateway.mqtt',
      cure: 'Choose two different ports',
    },
  ]
}

const atLeast = (
  path: KeyPath,
  value: number,
  other: KeyPath,
  floor: number,
  consequence: string,
): Finding[] => {
  if (value >= floor) return []
  const name = other.join('.')
  const reason = `is below ${name} = ${floor}, so that ${consequence}`
  return [{ path, others: [other], reason, cure: `Choose at least ${floor}, or lower ${name}` }]
}

function sizes({ gateway: { mqtt }, ingest }: Settings): Finding[] {
  const packet = ['gateway', 'mqtt', 'packetMaxBytes']
  const inFlight = ['gateway', 'mqtt', 'inFlightMaxBytes']
  const payload = ['ingest', 'payloadMaxBytes']
  const { packetMaxBytes, inFlightMaxBytes } = mqtt
  return [
    ...atLeast(
      packet,
      packetMaxBytes,
      payload,
      ingest.payloadMaxBytes,
      'no packet could carry the largest allowed payload',
    ),
    ...atLeast(
      inFlight,
      inFlightMaxBytes,
      packet,
      packetMaxBytes,
      'the largest allowed packet could never be accepted',
    ),
  ]
}

function backoff({ bridge: { backoffFirstMs, backoffMaxMs } }: Settings): Finding[] {
  const first = ['bridge', 'backoffFirstMs']
  const consequence = 'the first wait would be the longest'
  return atLeast(['bridge', 'backoffMaxMs'], backoffMaxMs, first, backoffFirstMs, consequence)
}

function bounds({ outbox }: Settings): Finding[] {
  const { keep, bounds, groupMaxBytes, groupMaxEvents } = outbox
  const path = (...keys: string[]) => ['outbox', ...keys]
  const bytes = path('bounds', 'bytes')
  const events = bounds.events ?? Number.POSITIVE_INFINITY
  const consequence = 'the largest allowed group could never be stored'
  const keepTooLarge: Finding = {
    path: bytes,
    others: [path('keep', 'bytes')],
    reason:
      `is not above outbox.keep.bytes = ${keep.bytes}, ` +
      'so that kept events would leave no room for undelivered events',
    cure: `Choose more than ${keep.bytes}, or lower outbox.keep.bytes`,
  }
  const deadLettersTooLarge: Finding = {
    path: path('bounds', 'deadLetterBytes'),
    others: [bytes],
    reason:
      `is not below outbox.bounds.bytes = ${bounds.bytes}, ` +
      'so that dead letters could leave no room for readings',
    cure: `Choose less than ${bounds.bytes}, or raise outbox.bounds.bytes`,
  }
  return [
    ...(bounds.deadLetterBytes < bounds.bytes ? [] : [deadLettersTooLarge]),
    ...atLeast(bytes, bounds.bytes, path('groupMaxBytes'), groupMaxBytes, consequence),
    ...(bounds.bytes > keep.bytes ? [] : [keepTooLarge]),
    ...atLeast(
      path('bounds', 'events'),
      events,
      path('groupMaxEvents'),
      groupMaxEvents,
      consequence,
    ),
  ]
}

function windows({ outbox, gateway: { mqtt } }: Settings): Finding[] {
  const { commitWindowMs, commitWindowMaxMs, writeBudgetBytesPerDay } = outbox
  const [minPath, maxPath] = [
    ['outbox', 'commitWindowMs'],
    ['outbox', 'commitWindowMaxMs'],
  ] as const
  const pausePath = ['gateway', 'mqtt', 'pauseMaxMs']
  const consequence = 'the commit window could only get narrower'
  const isBelowPause = writeBudgetBytesPerDay === null || commitWindowMaxMs < mqtt.pauseMaxMs
  const notBelowPause: Finding = {
    path: [...maxPath],
    others: [pausePath, ['outbox', 'writeBudgetBytesPerDay']],
    reason:
      `is not below gateway.mqtt.pauseMaxMs = ${mqtt.pauseMaxMs}, ` +
      'so that devices could be disconnected while they wait for a commit',
    cure: `Choose less than ${mqtt.pauseMaxMs}, or raise gateway.mqtt.pauseMaxMs`,
  }
  return [
    ...atLeast([...maxPath], commitWindowMaxMs, [...minPath], commitWindowMs, consequence),
    ...(isBelowPause ? [] : [notBelowPause]),
  ]
}

function writerWatch({ outbox: { writer } }: Settings): Finding[] {
  const path = ['outbox', 'writer']
  const { alarmAfterMs, endAfterMs } = writer
  const consequence = 'the gateway would end before it raises the alarm'
  const alarmPath = [...path, 'alarmAfterMs']
  return atLeast([...path, 'endAfterMs'], endAfterMs, alarmPath, alarmAfterMs, consequence)
}

function laneCount({ ingest, outbox }: Settings): Finding[] {
  const named = ingest.routes.flatMap(({ lane }) => lane ?? [])
  const all = new Set([standardLane, ...named, ...Object.keys(outbox.lanes)])
  if (all.size <= lanesMax) return []
  const path = ['outbox', 'lanes']
  const others = `${standardLane} and the lanes of ingest.routes`
  const reason = `together with ${others} are ${all.size} lanes`
  const cure = `Name at most ${lanesMax} in all`
  return [{ path, others: [['ingest', 'routes']], reason, cure }]
}

/** A lane of a route must be a lane of `outbox.lanes`, as soon as that names any lane. */
function unknownLanes({ ingest, outbox }: Settings): Finding[] {
  const named = Object.keys(outbox.lanes)
  const known = [...new Set([standardLane, ...named])]
  return ingest.routes.flatMap(({ lane }, index): Finding[] => {
    if (lane === undefined || named.length === 0 || known.includes(lane)) return []
    const reason =
      'is not a lane of outbox.lanes, so that its events get no protection of their own'
    const [nearest] = nearestNames(lane, known)
    const choices = nearest ? `Did you mean ${nearest}?` : `The lanes are ${known.join(', ')}.`
    const cure = `${choices} Or add ${lane}: { whenFull: … } to outbox.lanes`
    return [
      { path: ['ingest', 'routes', index, 'lane'], others: [['outbox', 'lanes']], reason, cure },
    ]
  })
}

/** A time zone is for texts without an offset, and numbers count from 1970 in UTC. */
function timeZones({ ingest }: Settings): Finding[] {
  return ingest.routes.flatMap(({ time }, index): Finding[] => {
    if (time?.zone === undefined || time.unit === 'iso') return []
    const path = ['ingest', 'routes', index, 'time', 'zone']
    const reason = `has no effect on numbers in unit ${time.unit}`
    return [{ path, others: [], reason, cure: 'Set unit: iso, or leave zone out' }]
  })
}

function sameFile({ outbox, inbox }: Settings): Finding[] {
  if (resolve(outbox.file) !== resolve(inbox.file)) return []
  const reason = 'is also the file of the outbox'
  const cure = 'Name two different files: each has one writer, the gateway and the bridge'
  return [{ path: ['inbox', 'file'], others: [['outbox', 'file']], reason, cure }]
}

function sameTopics({ kafka: { topics }, consumers: { analytics } }: Settings): Finding[] {
  const names: [KeyPath, string][] = [
    ...Object.entries(topics).map(([key, topic]): [KeyPath, string] => [
      ['kafka', 'topics', key],
      topic,
    ]),
    [['consumers', 'analytics', 'topic'], analytics.topic],
  ]
  // Kafka refuses a topic whose name differs from another topic's name only in '.' and '_'.
  const plain = (topic: string) => topic.replaceAll('_', '.')
  return names.flatMap(([path, topic], i): Finding[] => {
    const first = names.slice(0, i).find(([, other]) => plain(other) === plain(topic))
    if (!first) return []
    const [other] = first
    const same = first[1] === topic ? 'is' : "differs in '.' and '_' only from"
    const reason = `${same} the topic of ${other.join('.')}`
    const cure = 'Give each of the topics a name of its own'
    return [{ path, others: [other], reason, cure }]
  })
}

function tlsPair({ kafka: { tls } }: Settings): Finding[] {
  if (!tls || (tls.certFile === undefined) === (tls.keyFile === undefined)) return []
  const [given, missing] = tls.certFile ? ['certFile', 'keyFile'] : ['keyFile', 'certFile']
  const reason = `is set without kafka.tls.${missing}`
  const cure = 'Give both for a client certificate, or neither'
  return [{ path: ['kafka', 'tls', given], others: [['kafka', 'tls', missing]], reason, cure }]
}

function registryLogin({ registry: { username, passwordFile } }: Settings): Finding[] {
  if ((username === null) === (passwordFile === null)) return []
  const [given, missing] = username ? ['username', 'passwordFile'] : ['passwordFile', 'username']
  const reason = `is set without registry.${missing}`
  const cure = 'Give both to log in at the registry, or neither'
  return [{ path: ['registry', given], others: [['registry', missing]], reason, cure }]
}

/** Returns the faults of the routes. `input` may have other faults, which the schema reports. */
export function checkRoutes(input: unknown): Finding[] {
  const routes = valueAt(input, ['ingest', 'routes'])
  if (!Array.isArray(routes)) return []
  const earlier: { levels: TopicLevel[]; index: number }[] = []
  return routes.flatMap((route, index): Finding[] => {
    if (!isGroup(route) || typeof route.topic !== 'string') return []
    const path = ['ingest', 'routes', index]
    const faults = routeFaults(route)
    if (faults.length > 0)
      return faults.map(({ key, ...rest }) => ({ path: [...path, key], ...rest }))
    const { levels } = parseTopicPattern(route.topic)
    const shadowing = earlier.find(other => shadows(other.levels, levels))
    earlier.push({ levels, index })
    if (!shadowing) return []
    const reason = `is never reached: ingest.routes[${shadowing.index}] matches all its topics`
    return [{ path: [...path, 'topic'], reason, cure: 'Put it before that route, or remove it' }]
  })
}
