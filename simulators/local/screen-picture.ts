// Prints the picture of the live screen in the README:
// ./sluice exec simulators/local/screen-picture.ts > docs/screen.svg
import { defaults } from '../../config/config.ts'
import { drawScreen, type ScreenState, screenHeadings } from './screen.ts'

const sampleAtMs = Date.UTC(2026, 2, 2, 8, 30)
const backlog = { events: 47, bytes: 8_300, oldestAgeMs: 120 }

/** A gateway and a bridge that have run for two hours with 500 readings a second. */
const sample = {
  atMs: sampleAtMs,
  gateway: {
    ...{
      part: 'gateway' as const,
      pid: 4711,
      gateway: 'gateway-k3tq7mwd',
      store: '',
      outbox: 'data/outbox.db',
      epoch: 1,
      lastSequence: 3_600_000,
    },
    ...{ bytesSoFar: 640_000_000, connections: 20 },
    ...{ acknowledged: 3_600_004, stored: 3_600_000, buried: 4, repeated: 0, refused: 0 },
    backlog,
    space: {
      ...{ fileBytes: 672_000_000, usedBytes: 668_400_000, keptBytes: 668_100_000 },
      ...{
        freeDiskBytes: 214_700_000_000,
        fullInMs: null,
        refuses: null,
        acceptsAtFreeBytes: null,
      },
    },
    wear: {
      ...{ writtenBytes: 3_100_000_000, perDayBytes: 37_400_000_000, perReadingBytes: 866 },
      ...{ commitWindowMs: 20, beyondBudget: null },
    },
  },
  bridge: {
    ...{
      part: 'bridge' as const,
      pid: 4712,
      gateway: 'gateway-k3tq7mwd',
      store: '',
      kafka: {},
      circuits: {},
      backlog,
      ranges: [],
    },
    ...{ hotZones: [], rejected: 0, replayed: 0, retries: 0, notes: 241, delivered: 3_599_953 },
    completeUpTo: sampleAtMs - backlog.oldestAgeMs,
    perPartition: { 0: 612_004, 1: 587_310, 2: 604_118, 3: 590_725, 4: 608_893, 5: 596_903 },
  },
} satisfies ScreenState

/** The same gateway and bridge one second earlier. */
const sampleBefore: ScreenState = {
  atMs: sampleAtMs - 1000,
  gateway: { ...sample.gateway, acknowledged: sample.gateway.acknowledged - 500 },
  bridge: { ...sample.bridge, delivered: sample.bridge.delivered - 498 },
}

const headings = screenHeadings({
  ...defaults,
  kafka: { ...defaults.kafka, brokers: ['127.0.0.1:9092'] },
})

const LABEL_CHARACTERS = 16
const CHARACTER_PX = 8.43
const LINE_PX = 22
const PADDING_PX = 20
const TITLE_BAR_PX = 34

/** The live screen of a fixed sample as an SVG document, drawn as a terminal window. */
export function screenPicture(): string {
  const lines = drawScreen(sample, sampleBefore, headings)
  const longest = Math.max(...lines.map(line => line.length))
  const width = Math.ceil(2 * PADDING_PX + longest * CHARACTER_PX)
  const height = TITLE_BAR_PX + 2 * PADDING_PX + lines.length * LINE_PX
  const valueX = PADDING_PX + LABEL_CHARACTERS * CHARACTER_PX
  const texts = lines.map((line, index) => {
    const y = TITLE_BAR_PX + PADDING_PX + (index + 0.7) * LINE_PX
    const label = line.slice(0, LABEL_CHARACTERS).trimEnd()
    const value = line.slice(LABEL_CHARACTERS)
    return [
      `  <text x="${PADDING_PX}" y="${y.toFixed(1)}" fill="#8b949e">${escapeXml(label)}</text>`,
      `  <text x="${valueX.toFixed(1)}" y="${y.toFixed(1)}">${escapeXml(value)}</text>`,
    ].join('\n')
  })
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (color, index) => `  <circle cx="${PADDING_PX + index * 20}" cy="17" r="6" fill="${color}"/>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"`,
    `  height="${height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14"`,
    '  fill="#e6edf3" role="img">',
    `  <title>${escapeXml(`The live screen: ${lines.join('; ').replace(/ {2,}/g, ' ')}`)}</title>`,
    '  <style>text { white-space: pre }</style>',
    `  <rect width="${width}" height="${height}" rx="10" fill="#0d1117"/>`,
    ...dots,
    `  <text x="${width / 2}" y="22" text-anchor="middle" fill="#8b949e">npm start</text>`,
    ...texts,
    '</svg>\n',
  ].join('\n')
}

const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

if (import.meta.main) process.stdout.write(screenPicture())
