import { routes } from './fault-cases.ts'

/** Files whose only fault concerns lanes, and the start of its text. */
export const laneFaultCases: [title: string, yaml: string, fault: string][] = [
  [
    'an unknown policy of a lane',
    'outbox: { lanes: { alarms: { whenFull: keep } } }',
    'outbox.lanes.alarms.whenFull = "keep": is not one of the choices. Choose one of refuse, drop',
  ],
  [
    'a lane without a policy',
    'outbox: { lanes: { a: {} } }',
    'outbox.lanes.a.whenFull: is missing',
  ],
  [
    'an unknown key of a lane',
    'outbox: { lanes: { a: { whenFull: thin, whenful: thin } } }',
    'outbox.lanes.a.whenful = "thin": is not a known key. Did you mean outbox.lanes.a.whenFull?',
  ],
  [
    'a lane that is not a group',
    'outbox: { lanes: { a: thin } }',
    'outbox.lanes.a = "thin": must be a group of keys, not text. Write a group of keys below it',
  ],
  [
    'lanes as a list',
    'outbox: { lanes: [alarms] }',
    'outbox.lanes = […]: must be a group of keys, not a list. Write lanes below it, each as',
  ],
  [
    'a lane with an invalid name',
    'outbox: { lanes: { a_b: { whenFull: thin } } }',
    'outbox.lanes.a_b = {…}: is not a name of 1 to 32 letters, digits and dashes. Use 1 to 32 of',
  ],
  [
    'a route whose lane has an invalid name',
    routes('topic: "{site}/{zone}/{device}", lane: "a b"'),
    'ingest.routes[0].lane = "a b": is not a name of 1 to 32 letters, digits and dashes. Use 1 to',
  ],
  [
    'too many lanes',
    `outbox: { lanes: { ${[...'abcdefgh'].map(name => `${name}: { whenFull: thin }`)} } }`,
    'outbox.lanes = {…}: together with standard and the lanes of ingest.routes are 9 lanes. Name at most 8 in',
  ],
  [
    'a route with a misspelt lane',
    `${routes('topic: "{site}/{zone}/{device}", lane: alarm')}
outbox: { lanes: { alarms: { whenFull: refuse } } }`,
    'ingest.routes[0].lane = "alarm": is not a lane of outbox.lanes, so that its events get no ' +
      'protection of their own. Did you mean alarms? Or add alarm: { whenFull: … } to outbox.lanes',
  ],
  [
    'a route with an unknown lane',
    `${routes('topic: "{site}/{zone}/{device}", lane: bulk')}
outbox: { lanes: { alarms: { whenFull: refuse } } }`,
    'ingest.routes[0].lane = "bulk": is not a lane of outbox.lanes, so that its events get no ' +
      'protection of their own. The lanes are standard, alarms. Or add bulk: { whenFull: … } to',
  ],
  [
    'aggregates in the topic of the readings',
    'consumers: { analytics: { topic: sluice.readings } }',
    'consumers.analytics.topic = "sluice.readings": is the topic of kafka.topics.readings. Give',
  ],
]
