import { routes } from './fault-cases.ts'

/** Files whose only fault concerns a zone template, and the start of its text. */
export const zoneFaultCases: [title: string, yaml: string, fault: string][] = [
  [
    'a placeholder that no template uses',
    routes('topic: "{site}/{area}/{room}/{device}", zone: "{area}"'),
    'ingest.routes[0].topic = "{site}/{area}/{room}/{device}": contains the unknown placeholder ' +
      '{room}. The placeholders are {site}, {zone} and {device}, each at most once, and others ' +
      'that site, zone or device of the route use (line 3 of sluice.yaml)',
  ],
  [
    'a zone of a level that the topic does not name',
    routes('topic: "{site}/z7/{room}/{device}", zone: "z7/{rom}"'),
    'ingest.routes[0].zone = "z7/{rom}": contains {rom}, which is not in the topic. Use a ' +
      'placeholder of the topic ({site}, {room}, {device}), or name that level of the topic (line 3 of',
  ],
  [
    'a zone of a level of a topic without named levels',
    routes('topic: "a/b", site: a, zone: "{device}", device: d'),
    'ingest.routes[0].zone = "{device}": contains {device}, which is not in the topic. Use a ' +
      'placeholder of the topic (no level), or name',
  ],
  [
    '__proto__ as placeholder',
    routes('topic: "{site}/{device}", zone: "{__proto__}"'),
    'ingest.routes[0].zone = "{__proto__}": contains {__proto__}, which is not in the topic.',
  ],
  ...['1', '0', '', '-4', '4.5', '1001', 'x', '4%2'].map((parts): [string, string, string] => [
    `a zone in ${JSON.stringify(parts)} parts`,
    routes(`topic: "{site}/z7/{device}", zone: "z7/{device%${parts}}"`),
    `ingest.routes[0].zone = "z7/{device%${parts}}": splits {device} into "${parts}" parts. ` +
      'Write a whole number of parts between 2 and 1000, as in {device%4} (line 3 of',
  ]),
  [
    'a stray brace in a zone',
    routes('topic: "{site}/z7/{device}", zone: "z7/{device"'),
    'ingest.routes[0].zone = "z7/{device": has a stray brace. Write {name} for a level of',
  ],
  [
    'a finer route that is never reached',
    routes('topic: "{site}/{zone}/{device}"', 'topic: "{site}/z7/{device}", zone: "z7/{device%4}"'),
    'ingest.routes[1].topic = "{site}/z7/{device}": is never reached: ingest.routes[0] matches all',
  ],
  [
    'a finer route under other names that is never reached',
    routes(
      'topic: "{site}/{area}/{device}", zone: "{area}"',
      'topic: "{site}/z7/{device}", zone: "z7/{device%4}"',
    ),
    'ingest.routes[1].topic = "{site}/z7/{device}": is never reached: ingest.routes[0] matches all',
  ],
  [
    'an invisible character in a zone',
    routes('topic: "{site}/{device}", zone: "lob\\u200bby"'),
    'ingest.routes[0].zone = "lob\u200bby": holds the invisible character U+200B. Write 1 to 128',
  ],
  [
    'an unknown time zone',
    routes('topic: "{site}/{zone}/{device}", time: { field: ts, unit: iso, zone: Berlin }'),
    'ingest.routes[0].time.zone = "Berlin": is not a time zone of the IANA database. Write a time',
  ],
  [
    'an offset as a time zone',
    routes('topic: "{site}/{zone}/{device}", time: { field: ts, unit: iso, zone: "+02:00" }'),
    'ingest.routes[0].time.zone = "+02:00": is not a time zone of the IANA database. Write a time',
  ],
  [
    'a time zone for numbers',
    routes('topic: "{site}/{zone}/{device}", time: { field: ts, unit: ms, zone: UTC }'),
    'ingest.routes[0].time.zone = "UTC": has no effect on numbers in unit ms. Set unit: iso, or',
  ],
]
