import { noDocument, readDocument } from './loading/document.ts'
import { readOverrides } from './loading/environment.ts'
import { type Fault, type Finding, mayBeSecret, shownValue } from './loading/faults.ts'
import { type KeyPath, pathText } from './loading/keys.ts'
import { freeze, valueAt, withValue } from './loading/nested-values.ts'
import { checkRelations, checkRoutes } from './loading/relations.ts'
import { checkShape } from './loading/schema-check.ts'
import { readSecrets, type Secret } from './loading/secrets.ts'
import { configSchema, type Settings } from './schema.ts'

export { describeFaults, type Fault } from './loading/faults.ts'

type Frozen<T> = T extends Secret ? T : { readonly [K in keyof T]: Frozen<T[K]> }
type Sasl = NonNullable<Settings['kafka']['sasl']> & { password: Secret }
type Tls = NonNullable<Settings['kafka']['tls']> & { ca: Secret; cert?: Secret; key?: Secret }
type Kafka = Omit<Settings['kafka'], 'sasl' | 'tls'> & { sasl: Sasl | null; tls: Tls | null }
type Registry = Settings['registry'] & { password?: Secret; ca?: Secret }
type Consumers = Settings['consumers'] & { postgresUrl?: Secret }

/** Everything that can be set, with its secrets read. Times and sizes end in their unit. */
export type Config = Frozen<
  Omit<Settings, 'kafka' | 'registry' | 'consumers'> & {
    kafka: Kafka
    registry: Registry
    consumers: Consumers
  }
>

/** From which topics readings come, and what stands where in them. */
export type Route = Config['ingest']['routes'][number]

/** What holds where nothing is set: no Kafka, everything on loopback. Frozen. */
export const defaults: Config = freeze(withSecrets(configSchema.parse({}), []))

/**
 * Loads the configuration: the defaults, over them the file (YAML), over it the environment
 * (SLUICE_GATEWAY_MQTT_PORT for gateway.mqtt.port). Reads the files that hold secrets, too.
 * Gives the frozen configuration or *all* that is wrong with it, and does not throw.
 */
export function loadConfig(from: {
  file?: string | undefined
  env: Record<string, string | undefined>
}): { config: Config } | { faults: Fault[] } {
  const document = from.file === undefined ? noDocument : readDocument(from.file)
  const environment = readOverrides(from.env)
  const input = environment.overrides.reduce(
    (value, override) => withValue(value, override.path, override.value),
    document.value,
  )

  const shape = checkShape(input)
  const secrets = readSecrets(input)
  const wrong = new Set(shape.findings.map(({ path }) => pathText(path)))
  // A relation between keys says nothing when one of them is wrong by itself.
  const related = checkRelations(shape.settings).filter(({ path, others = [] }) =>
    [path, ...others].every(key => !wrong.has(pathText(key))),
  )
  const findings = [...shape.findings, ...checkRoutes(input), ...related, ...secrets.findings]

  const placeOf = (path: KeyPath) => {
    const { name } = environment.overrides.findLast(at => isWithin(path, at.path)) ?? {}
    if (name !== undefined) return `environment variable ${name}`
    const line = document.lineOf(path)
    return line === undefined ? undefined : `line ${line} of ${from.file}`
  }
  const faults = findings.map(finding => faultOf(finding, input, placeOf))
  const all = [...document.faults, ...environment.faults, ...faults]
  if (all.length > 0) return { faults: all }
  return { config: freeze(withSecrets(shape.settings, secrets.secrets)) }
}

/** Only `checkShape` makes settings, and `readSecrets` finds a secret for each file they name. */
function withSecrets(settings: Settings, secrets: { path: string[]; value: Secret }[]): Config {
  const whole = secrets.reduce<unknown>((to, at) => withValue(to, at.path, at.value), settings)
  return whole as Config
}

const isWithin = (path: KeyPath, outer: KeyPath) => outer.every((step, i) => path[i] === step)

function faultOf(
  finding: Finding,
  input: unknown,
  placeOf: (path: KeyPath) => string | undefined,
): Fault {
  const { path, others = [], reason, cure } = finding
  const value = finding.value ?? valueAt(input, path)
  const shown = mayBeSecret(path) ? '[secret]' : shownValue(value)
  const exact = [path, ...others].map(placeOf).filter(place => place !== undefined)
  // A key that is missing has no line: its nearest group has.
  const around = path.map((_, i) => placeOf(path.slice(0, path.length - i)))
  const places = exact.length > 0 ? exact : around.filter(place => place !== undefined).slice(0, 1)
  const where = [...new Set(places)].join(', ')
  return {
    key: pathText(path),
    ...(value !== undefined && { value: shown }),
    reason,
    cure,
    ...(where !== '' && { where }),
  }
}
