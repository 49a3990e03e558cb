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

/** The configuration with its secrets. The names of durations and sizes end in their unit. */
export type Config = Frozen<
  Omit<Settings, 'kafka' | 'registry' | 'consumers'> & {
    kafka: Kafka
    registry: Registry
    consumers: Consumers
  }
>

/** A pattern for MQTT topics, and how to find site, zone and device in a topic that matches. */
export type Route = Config['ingest']['routes'][number]

/** The configuration when no key is set: no Kafka, all listeners on loopback. Frozen. */
export const defaults: Config = freeze(withSecrets(configSchema.parse({}), []))

/**
 * Loads the configuration: the environment (SLUICE_GATEWAY_MQTT_PORT for gateway.mqtt.port)
 * overrides the file (YAML), and the file overrides the defaults. Also reads the files that contain
 * secrets. Returns the frozen configuration or *all* its faults, and never throws.
 */
export function loadConfig(sources: {
  file?: string | undefined
  env: Record<string, string | undefined>
}): { config: Config } | { faults: Fault[] } {
  const document = sources.file === undefined ? noDocument : readDocument(sources.file)
  const environment = readOverrides(sources.env)
  const input = environment.overrides.reduce(
    (value, override) => withValue(value, override.path, override.value),
    document.value,
  )

  const shape = checkShape(input)
  const secrets = readSecrets(input)
  const faultyKeys = new Set(shape.findings.map(({ path }) => pathText(path)))
  // A relation between keys means nothing when one of the keys is faulty itself.
  const relations = checkRelations(shape.settings).filter(({ path, others = [] }) =>
    [path, ...others].every(key => !faultyKeys.has(pathText(key))),
  )
  const findings = [...shape.findings, ...checkRoutes(input), ...relations, ...secrets.findings]

  const locationOf = (path: KeyPath) => {
    const { name } = environment.overrides.findLast(override => isWithin(path, override.path)) ?? {}
    if (name !== undefined) return `environment variable ${name}`
    const line = document.lineOf(path)
    return line === undefined ? undefined : `line ${line} of ${sources.file}`
  }
  const faults = findings.map(finding => faultOf(finding, input, locationOf))
  const allFaults = [...document.faults, ...environment.faults, ...faults]
  if (allFaults.length > 0) return { faults: allFaults }
  return { config: freeze(withSecrets(shape.settings, secrets.secrets)) }
}

/** The cast is safe: `readSecrets` returns a secret for each file that the settings name. */
function withSecrets(settings: Settings, secrets: { path: string[]; value: Secret }[]): Config {
  const config = secrets.reduce<unknown>(
    (target, { path, value }) => withValue(target, path, value),
    settings,
  )
  return config as Config
}

const isWithin = (path: KeyPath, outer: KeyPath) => outer.every((step, i) => path[i] === step)

function faultOf(
  finding: Finding,
  input: unknown,
  locationOf: (path: KeyPath) => string | undefined,
): Fault {
  const { path, others = [], reason, cure } = finding
  const value = finding.value ?? valueAt(input, path)
  const shown = mayBeSecret(path) ? '[secret]' : shownValue(value)
  const exact = [path, ...others].map(locationOf).filter(location => location !== undefined)
  // A missing key has no line in the file; the nearest group around the key has a line.
  const enclosing = path
    .map((_, i) => locationOf(path.slice(0, path.length - i)))
    .filter(location => location !== undefined)
  const locations = exact.length > 0 ? exact : enclosing.slice(0, 1)
  const where = [...new Set(locations)].join(', ')
  return {
    key: pathText(path),
    ...(value !== undefined && { value: shown }),
    reason,
    cure,
    ...(where !== '' && { where }),
  }
}
