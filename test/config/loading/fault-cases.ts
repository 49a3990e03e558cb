/** YAML of routes, each given as the inside of a flow mapping. */
export const routes = (...lines: string[]) =>
  `ingest:\n  routes:\n${lines.map(line => `    - { ${line} }`).join('\n')}\n`

/** Configuration files with a single fault, and the start of the fault's text. */
export const generalFaultCases: [title: string, yaml: string, fault: string][] = [
  [
    'a port beyond 65535',
    'gateway:\n  mqtt:\n    port: 99999',
    'gateway.mqtt.port = 99999: must be at most 65535. ' +
      'Choose a port between 1 and 65535 (line 3 of sluice.yaml)',
  ],
  ['port 0', 'gateway: { mqtt: { port: 0 } }', 'gateway.mqtt.port = 0: must be at least 1. Choose'],
  [
    'a fraction',
    'outbox: { commitWindowMs: 1.5 }',
    'outbox.commitWindowMs = 1.5: must be a whole number. Choose a whole number of milliseconds',
  ],
  [
    'a longest commit window below the commit window',
    'outbox: { commitWindowMs: 50, commitWindowMaxMs: 40 }',
    'outbox.commitWindowMaxMs = 40: is below outbox.commitWindowMs = 50, so that the ' +
      'commit window could only get narrower. Choose at least 50, or lower outbox.commitWindowMs',
  ],
  [
    'a window longer than a pause',
    'outbox: { commitWindowMaxMs: 2000, writeBudgetBytesPerDay: 1000000000 }',
    'outbox.commitWindowMaxMs = 2000: is not below gateway.mqtt.pauseMaxMs = 2000, so that ' +
      'devices could be disconnected while they wait for a commit. Choose less than 2000, or raise',
  ],
  [
    'a budget of 0 bytes',
    'outbox: { writeBudgetBytesPerDay: 0 }',
    'outbox.writeBudgetBytesPerDay = 0: must be at least 1048576. Choose a whole number of bytes',
  ],
  [
    'a number with a unit',
    'bridge: { lingerMs: 20ms }',
    'bridge.lingerMs = "20ms": must be a whole number, not text. Choose a whole number of milli',
  ],
  ['infinity', 'bridge: { pollMs: .inf }', 'bridge.pollMs = Infinity: must be a whole number'],
  ['not a number', 'bridge: { pollMs: .nan }', 'bridge.pollMs = NaN: must be a whole number'],
  ['1e30', 'bridge: { pollMs: 1e30 }', 'bridge.pollMs = 1e+30: must be at most 600000'],
  [
    'a number for a text',
    'gateway: { id: 007 }',
    'gateway.id = 7: must be text, not 7. Use 1 to 64 of',
  ],
  [
    'yes for true',
    'gateway: { mqtt: { allowAnonymous: yes } }',
    'gateway.mqtt.allowAnonymous = "yes": must be true or false, not text. Write true or false',
  ],
  [
    'a list for a text',
    'outbox: { file: [a] }',
    'outbox.file = […]: must be text, not a list. Name a file',
  ],
  ['a key without value', 'log:\n  level:', 'log.level = null: is not one of the choices. Choose'],
  ['a group without keys', 'log:', 'log = null: must be a group of keys, not empty. Write a group'],
  ['a text for a group', 'log: info', 'log = "info": must be a group of keys, not text.'],
  ['an unsafe id', 'gateway: { id: a/b }', 'gateway.id = "a/b": is not a name of 1 to 64'],
  ['an empty id', 'gateway: { id: "" }', 'gateway.id = "": is not a name of 1 to 64'],
  [
    'a choice',
    'kafka: { compression: lz4 }',
    'kafka.compression = "lz4": is not one of the choices',
  ],
  ['partitions 0', 'kafka: { partitions: 0 }', 'kafka.partitions = 0: must be at least 1'],
  ['a topic', 'kafka: { topics: { ledger: a b } }', 'kafka.topics.ledger = "a b": is not a topic'],
  ['a dot as topic', 'kafka: { topics: { ledger: "." } }', 'kafka.topics.ledger = ".": is not a'],
  ['a broker without port', 'kafka: { brokers: [a] }', 'kafka.brokers[0] = "a": is not host:port.'],
  ['a broker port', 'kafka: { brokers: ["a:1", "a:0"] }', 'kafka.brokers[1] = "a:0": is not host'],
  ['IPv6 without []', 'kafka: { brokers: ["::1:90"] }', 'kafka.brokers[0] = "::1:90": is not host'],
  ['a broker URL', 'kafka: { brokers: ["k://a:1"] }', 'kafka.brokers[0] = "k://a:1": is not host'],
  [
    'brokers as text',
    'kafka: { brokers: a:9092 }',
    'kafka.brokers = "a:9092": must be a list, not',
  ],
  [
    'a host with port',
    'bridge: { http: { host: "a:1" } }',
    'bridge.http.host = "a:1": is neither an',
  ],
  [
    'a broken address',
    'bridge: { http: { host: 10.0.0 } }',
    'bridge.http.host = "10.0.0": is neither',
  ],
  [
    'a store in memory',
    'outbox: { file: ":memory:" }',
    'outbox.file = ":memory:": is not the path',
  ],
  [
    'an empty file name',
    'inbox: { file: "" }',
    'inbox.file = "": is not the path of a file. Name a file',
  ],
  [
    'an unknown key',
    'gateway:\n  mqtt:\n    prot: 1',
    'gateway.mqtt.prot = 1: is not a known key. Did you mean gateway.mqtt.port? ' +
      '(line 3 of sluice.yaml)',
  ],
  [
    'a key in another case',
    'bridge: { batch_max_events: 9 }',
    'bridge.batch_max_events = 9: is not a known key. Did you mean bridge.batchMaxEvents?',
  ],
  [
    'a key in the wrong place',
    'brokers: [a]',
    'brokers = […]: is not a known key. Did you mean kafka.brokers?',
  ],
  [
    'a key with dots',
    'kafka.brokers: x',
    '"kafka.brokers" = "x": is not a known key. Nest it: kafka: and below it brokers:',
  ],
  [
    'a key that resembles no other',
    'log: { wxyz: 1 }',
    'log.wxyz = 1: is not a known key. Remove it; the keys here are level, format (',
  ],
  ['a prototype', '__proto__: { level: info }', '__proto__ = {…}: is not a known key.'],
  ['control characters', '"a\\e\\n": 1', '"a\\u001b\\n" = 1: is not a known key.'],
  [
    'an address that is reachable from the network',
    'gateway:\n  mqtt:\n    host: 0.0.0.0',
    'gateway.mqtt.host = "0.0.0.0": accepts connections from the network without authentication. ' +
      'Listen on 127.0.0.1, or set gateway.mqtt.allowAnonymous: true to let everybody publish ' +
      '(authentication of devices comes with a later version) (line 3 of sluice.yaml)',
  ],
  [
    'a name that only begins like loopback',
    'gateway: { mqtt: { host: 127.0.0.1.example.org } }',
    'gateway.mqtt.host = "127.0.0.1.example.org": accepts connections from the network',
  ],
  [
    'one port for two listeners',
    'gateway:\n  mqtt: { port: 9464 }',
    'gateway.http.port = 9464: is also the port of gateway.mqtt. Choose two different ports ' +
      '(line 2 of sluice.yaml)',
  ],
  [
    'payloads larger than packets',
    'ingest: { payloadMaxBytes: 300000 }',
    'gateway.mqtt.packetMaxBytes = 262144: is below ingest.payloadMaxBytes = 300000, so that no',
  ],
  [
    'packets larger than the bytes that may wait',
    'gateway: { mqtt: { inFlightMaxBytes: 4096 } }',
    'gateway.mqtt.inFlightMaxBytes = 4096: is below gateway.mqtt.packetMaxBytes = 262144, so',
  ],
  [
    'a longest wait below the first',
    'bridge: { backoffMaxMs: 100 }',
    'bridge.backoffMaxMs = 100: is below bridge.backoffFirstMs = 200, so that',
  ],
  [
    'bounds below the largest group',
    'outbox: { groupMaxBytes: 8388608, bounds: { bytes: 4194304, deadLetterBytes: 0 }, ' +
      'keep: { bytes: 0 } }',
    'outbox.bounds.bytes = 4194304: is below outbox.groupMaxBytes = 8388608, so that the',
  ],
  [
    'a bound of events below the largest group',
    'outbox: { bounds: { events: 10 } }',
    'outbox.bounds.events = 10: is below outbox.groupMaxEvents = 1000, so that the largest ' +
      'allowed group could never be stored. Choose at least 1000, or lower outbox.groupMaxEvents',
  ],
  [
    'bounds not above the kept events',
    'outbox: { bounds: { bytes: 10000000, deadLetterBytes: 0 }, keep: { bytes: 10000000 } }',
    'outbox.bounds.bytes = 10000000: is not above outbox.keep.bytes = 10000000, so that kept events ' +
      'would leave no room for undelivered events. Choose more than 10000000, or lower outbox.keep.bytes',
  ],
  [
    'dead letters that may fill the bounds',
    'outbox: { bounds: { bytes: 5000000, deadLetterBytes: 5000000 }, keep: { bytes: 0 } }',
    'outbox.bounds.deadLetterBytes = 5000000: is not below outbox.bounds.bytes = 5000000, so that ' +
      'dead letters could leave no room for readings. Choose less than 5000000, or raise outbox.bounds.bytes',
  ],
  ['a bound of 0 bytes', 'outbox: { bounds: { bytes: 0 } }', 'outbox.bounds.bytes = 0: must be at'],
  [
    'a negative free disk',
    'outbox: { bounds: { freeDiskBytes: -1 } }',
    'outbox.bounds.freeDiskBytes = -1:',
  ],
  ['an unknown policy', 'outbox: { whenFull: drop }', 'outbox.whenFull = "drop": is not one of'],
  [
    'a schedule beyond the hour',
    'outbox: { pruneSchedule: "60 * * * *" }',
    'outbox.pruneSchedule = "60 * * * *": is not a schedule of five fields. Write minute, hour',
  ],
  [
    'one file for two stores',
    'outbox: { file: data/../data/inbox.db }',
    'inbox.file = "data/inbox.db": is also the file of the outbox. Name two different files',
  ],
  [
    'one topic for two uses',
    'kafka: { topics: { ledger: a, readings: a } }',
    'kafka.topics.ledger = "a": is the topic of kafka.topics.readings. Give each',
  ],
  [
    'two topics that Kafka treats as one',
    'kafka: { topics: { ledger: sluice_readings } }',
    "kafka.topics.ledger = \"sluice_readings\": differs in '.' and '_' only from the topic of",
  ],
  ['no route', 'ingest: { routes: [] }', 'ingest.routes = []: must have at least 1 entries. Write'],
  ['a route without topic', routes('format: json'), 'ingest.routes[0].topic: is missing. Write a'],
  [
    'an unknown format',
    routes('topic: "{site}/{zone}/{device}", format: xml'),
    'ingest.routes[0].format = "xml": is not one of the choices. Write json',
  ],
  [
    'an unknown key of a route',
    routes('topic: "{site}/{zone}/{device}", fromat: json'),
    'ingest.routes[0].fromat = "json": is not a known key. Did you mean ingest.routes[0].format?',
  ],
  [
    'a route without zone',
    routes('topic: "{site}/{device}"'),
    'ingest.routes[0].topic = "{site}/{device}": yields no zone. Put {zone} into the topic, or ' +
      'give the route a constant: zone: name (line 3 of sluice.yaml)',
  ],
  [
    'a zone given twice',
    routes('topic: "{site}/{zone}/{device}", zone: z'),
    'ingest.routes[0].zone = "z": is also given by {zone} in the topic. Keep one',
  ],
  [
    'a placeholder twice',
    routes('topic: "{site}/{zone}/{device}/{zone}"'),
    'ingest.routes[0].topic = "{site}/{zone}/{device}/{zone}": contains {zone} twice. The',
  ],
  [
    'an unknown placeholder',
    routes('topic: "{site}/{zoen}/{device}"'),
    'ingest.routes[0].topic = "{site}/{zoen}/{device}": contains the unknown placeholder {zoen}. ' +
      'The placeholders are {site}, {zone} and {device}, each at most once',
  ],
  [
    'a placeholder that shares its level',
    routes('topic: "{site}/z-{zone}/{device}"'),
    'ingest.routes[0].topic = "{site}/z-{zone}/{device}": has a stray brace in the level',
  ],
  [
    'the wildcard +',
    routes('topic: "{site}/+/{zone}/{device}"'),
    'ingest.routes[0].topic = "{site}/+/{zone}/{device}": contains the wildcard +. Name the',
  ],
  [
    'the wildcard #',
    routes('topic: "{site}/{zone}/{device}/#"'),
    'ingest.routes[0].topic = "{site}/{zone}/{device}/#": contains the wildcard #.',
  ],
  ['an empty topic', routes('topic: ""'), 'ingest.routes[0].topic = "": is empty. Write a topic'],
  [
    'a control character in a topic',
    routes('topic: "a\\0/{site}/{zone}/{device}"'),
    'ingest.routes[0].topic = "a\\u0000/{site}/{zone}/{device}": has a level that holds a control',
  ],
  [
    'an empty constant',
    routes('topic: "{site}/{device}", zone: ""'),
    'ingest.routes[0].zone = "": is empty. Write 1 to 128 printable characters',
  ],
  [
    'a time without unit',
    routes('topic: "{site}/{zone}/{device}", time: { field: at }'),
    'ingest.routes[0].time.unit: is missing. Choose one of ms, s, us, ns, iso',
  ],
  [
    'a route that is never reached',
    routes('topic: "{site}/{zone}/{device}"', 'topic: "hq/{zone}/{device}", site: hq'),
    'ingest.routes[1].topic = "hq/{zone}/{device}": is never reached: ingest.routes[0] matches all',
  ],
  ['a key given twice', 'log: {}\nlog: {}', 'log: is given in line 1 already. Keep one of the two'],
  [
    'a tab',
    'log:\n\tlevel: info',
    'sluice.yaml: Tabs are not allowed as indentation. Fix the line',
  ],
  ['an open quote', 'log: "', 'sluice.yaml: Missing closing "quote. Fix the line'],
  ['an unknown alias', 'log: *l', 'sluice.yaml: Unresolved alias (the anchor must be set before'],
  ['an unknown tag', 'log: { level: !x info }', 'sluice.yaml: Unresolved tag. Fix'],
  [
    'two documents',
    'log: {}\n---\nlog: {}',
    'sluice.yaml: Source contains multiple documents. Fix',
  ],
  ['a list as document', '- log', 'sluice.yaml: is not a mapping of keys. Write keys and values'],
  ['excessive nesting', '['.repeat(100_000), 'sluice.yaml: is nested too deeply'],
]
