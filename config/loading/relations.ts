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

/** What is wrong between keys that are each right alone. `path` and `others` are those keys. */
export function checkRelations(settings: Settings): Finding[] {
  const rules = [
    ...[reachableListener, meetingListeners, sizes, backoff, bounds, windows],
    ...[lanes, sameFile, sameTopics, tlsPair, registryLogin],
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
      reason: 'lets the network in, and no device is asked who it is',
      cure:
        'Listen on 127.0.0.1, or set gateway.mqtt.allowAnonymous: true to let everybody publish ' +
        '(identities of devices come with a later version)',
    },
  ]
}

function meetingListeners({ gateway: { mqtt, http } }: Settings): Finding[] {
  if (mqtt.port !== http.port || !hostsOverlap(mqtt.host, http.host)) return []
  return [
    {
      path: ['gateway', 'http', 'port'],
      others: [
        ['gateway', 'mqtt', 'port'],
        ['gateway', 'http', 'host'],
        ['gateway', 'mqtt', 'host'],
      ],
      reason: 'is the port of gateway.mqtt too',
      cure: 'Choose two different ports',
    },
  ]
}

const atLeast = (
  path: KeyPath,
  value: number,
  other: KeyPath,
  floor: number,
  why: string,
): Finding[] => {
  if (value >= floor) return []
  const name = other.join('.')
  const reason = `is below ${name} = ${floor}, so that ${why}`
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
      'a payload that is allowed could never arrive',
    ),
    ...atLeast(
      inFlight,
      inFlightMaxBytes,
      packet,
      packetMaxBytes,
      'a packet that is allowed could never be taken',
    ),
  ]
}

function backoff({ bridge: { backoffFirstMs, backoffMaxMs } }: Settings): Finding[] {
  const first = ['bridge', 'backoffFirstMs']
  const why = 'the first wait would be the longest'
  return atLeast(['bridge', 'backoffMaxMs'], backoffMaxMs, first, backoffFirstMs, why)
}

function bounds({ outbox }: Settings): Finding[] {
  const { keep, bounds, groupMaxBytes, groupMaxEvents } = outbox
  const path = (...keys: string[]) => ['outbox', ...keys]
  const bytes = path('bounds', 'bytes')
  const events = bounds.events ?? Number.POSITIVE_INFINITY
  const group = 'a group that is allowed could never be stored'
  const tail: Finding = {
    path: bytes,
    others: [path('keep', 'bytes')],
    reason:
      `is not above outbox.keep.bytes = ${keep.bytes}, ` +
      'so that what is kept would leave no room for what waits',
    cure: 'Choose more, or lower outbox.keep.bytes',
  }
  const letters: Finding = {
    path: path('bounds', 'deadLetterBytes'),
    others: [bytes],
    reason:
      `is not below outbox.bounds.bytes = ${bounds.bytes}, ` +
      'so that dead letters could leave no room for readings',
    cure: 'Choose less, or raise outbox.bounds.bytes',
  }
  return [
    ...(bounds.deadLetterBytes < bounds.bytes ? [] : [letters]),
    ...atLeast(bytes, bounds.bytes, path('groupMaxBytes'), groupMaxBytes, group),
    ...(bounds.bytes > keep.bytes ? [] : [tail]),
    ...atLeast(path('bounds', 'events'), events, path('groupMaxEvents'), groupMaxEvents, group),
  ]
}

function windows({ outbox, gateway: { mqtt } }: Settings): Finding[] {
  const { commitWindowMs, commitWindowMaxMs, writeBudgetBytesPerDay } = outbox
  const [least, most] = [
    ['outbox', 'commitWindowMs'],
    ['outbox', 'commitWindowMaxMs'],
  ] as const
  const pause = ['gateway', 'mqtt', 'pauseMaxMs']
  const why = 'a window could only get narrower'
  const isBelowPause = writeBudgetBytesPerDay === null || commitWindowMaxMs < mqtt.pauseMaxMs
  const paused: Finding = {
    path: [...most],
    others: [pause, ['outbox', 'writeBudgetBytesPerDay']],
    reason:
      `is not below gateway.mqtt.pauseMaxMs = ${mqtt.pauseMaxMs}, ` +
      'so that devices could be cut off while they wait for a commit',
    cure: 'Choose less, or raise gateway.mqtt.pauseMaxMs',
  }
  return [
    ...atLeast([...most], commitWindowMaxMs, [...least], commitWindowMs, why),
    ...(isBelowPause ? [] : [paused]),
  ]
}

function lanes({ ingest, outbox }: Settings): Finding[] {
  const named = ingest.routes.flatMap(({ lane }) => lane ?? [])
  const all = new Set([standardLane, ...named, ...Object.keys(outbox.lanes)])
  if (all.size <= lanesMax) return []
  const path = ['outbox', 'lanes']
  const reason = `with ${standardLane} and those of ingest.routes are ${all.size} lanes`
  const cure = `Name at most ${lanesMax} in all`
  return [{ path, others: [['ingest', 'routes']], reason, cure }]
}

function sameFile({ outbox, inbox }: Settings): Finding[] {
  if (resolve(outbox.file) !== resolve(inbox.file)) return []
  const reason = 'is the file of the outbox too'
  const cure = 'Name two different files: each has one writer, the gateway and the bridge'
  return [{ path: ['inbox', 'file'], others: [['outbox', 'file']], reason, cure }]
}

function sameTopics({ kafka: { topics } }: Settings): Finding[] {
  const names = Object.entries(topics)
  // Kafka refuses a topic that differs from another in '.' and '_' only.
  const plain = (topic: string) => topic.replaceAll('_', '.')
  return names.flatMap(([key, topic], i): Finding[] => {
    const first = names.slice(0, i).find(([, other]) => plain(other) === plain(topic))
    if (!first) return []
    const other = ['kafka', 'topics', first[0]]
    const same = first[1] === topic ? 'is' : "differs in '.' and '_' only from"
    const reason = `${same} the topic of ${other.join('.')}`
    const cure = 'Give each of the topics a name of its own'
    return [{ path: ['kafka', 'topics', key], others: [other], reason, cure }]
  })
}

function tlsPair({ kafka: { tls } }: Settings): Finding[] {
  if (!tls || (tls.certFile === undefined) === (tls.keyFile === undefined)) return []
  const [given, missing] = tls.certFile ? ['certFile', 'keyFile'] : ['keyFile', 'certFile']
  const reason = `stands without kafka.tls.${missing}`
  const cure = 'Give both for a client certificate, or neither'
  return [{ path: ['kafka', 'tls', given], others: [['kafka', 'tls', missing]], reason, cure }]
}

function registryLogin({ registry: { username, passwordFile } }: Settings): Finding[] {
  if ((username === null) === (passwordFile === null)) return []
  const [given, missing] = username ? ['username', 'passwordFile'] : ['passwordFile', 'username']
  const reason = `stands without registry.${missing}`
  const cure = 'Give both to log in at the registry, or neither'
  return [{ path: ['registry', given], others: [['registry', missing]], reason, cure }]
}

/** What is wrong with the routes of a value that the schema may have refused elsewhere. */
export function checkRoutes(input: unknown): Finding[] {
  const routes = valueAt(input, ['ingest', 'routes'])
  if (!Array.isArray(routes)) return []
  const earlier: { levels: TopicLevel[]; at: number }[] = []
  return routes.flatMap((route, at): Finding[] => {
    if (!isGroup(route) || typeof route.topic !== 'string') return []
    const path = ['ingest', 'routes', at]
    const faults = routeFaults(route)
    if (faults.length > 0)
      return faults.map(({ key, ...rest }) => ({ path: [...path, key], ...rest }))
    const { levels } = parseTopicPattern(route.topic)
    const before = earlier.find(one => shadows(one.levels, levels))
    earlier.push({ levels, at })
    if (!before) return []
    const reason = `is never reached: ingest.routes[${before.at}] takes all its topics`
    return [{ path: [...path, 'topic'], reason, cure: 'Put it before that route, or remove it' }]
  })
}
