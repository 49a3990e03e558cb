import {
  newestSchema,
  type ReleasedSchema,
  releasedSchemas,
  schemaByFingerprint,
} from '../../config/schemas/released.ts'
import { isDiskFull } from '../../gateway/store/file/ballast.ts'
import type { Inbox } from '../../gateway/store/inbox.ts'
import { RegistryFault } from './faults.ts'
import { type RegistryClient, subjectOf } from './registry.ts'

/** After so long a registry that could not confirm what it once said is asked again. */
const CONFIRM_AGAIN_MS = 60_000

/** The number of the schema with this fingerprint in a topic; a promise when it must be asked. */
export type SchemaIdLookup = (topic: string, fingerprint: Buffer) => number | Promise<number>

export type SchemaIdLookupOptions = {
  registry: Pick<RegistryClient, 'url' | 'idOf'>
  inbox: Pick<Inbox, 'schemaId' | 'keepSchemaId'>
  /** A registry gives another number than it gave before: it was begun anew, or is another one. */
  onChanged(line: string): void
}

/**
 * The numbers by which events name their schemas. What a registry once said is kept in the inbox
 * and used at once, whether it is there or not; when it is, it is asked once a start whether that
 * still holds. Rejects with RegistryFault when a number is not known and cannot be had now.
 */
export function createSchemaIdLookup({
  registry,
  inbox,
  onChanged,
}: SchemaIdLookupOptions): SchemaIdLookup {
  const known = new Map<string, number>()
  const confirmAtMs = new Map<string, number>()
  const nameOf = (subject: string, { fingerprint }: Pick<ReleasedSchema, 'fingerprint'>) => ({
    ...{ registry: registry.url, subject, fingerprint },
  })
  const keyOf = (subject: string, fingerprint: Buffer) =>
    `${fingerprint.toString('latin1')}${subject}`

  const keep = (subject: string, schema: ReleasedSchema, id: number) => {
    const name = nameOf(subject, schema)
    const before = inbox.schemaId(name)
    known.set(keyOf(subject, schema.fingerprint), id)
    if (before === id) return
    if (before !== null) {
      onChanged(`SensorReading ${schema.version} of ${subject} is ${id} there now, not ${before}`)
    }
    try {
      inbox.keepSchemaId(name, id)
    } catch (error) {
      // Known as long as we run; a next start asks again.
      if (!isDiskFull(error)) throw error
    }
  }

  /** Asks for all schemas up to one, so that a registry has their versions in our order. */
  const askUpTo = async (subject: string, wanted: ReleasedSchema): Promise<void> => {
    for (const schema of releasedSchemas.filter(({ version }) => version <= wanted.version)) {
      try {
        keep(subject, schema, await registry.idOf(subject, schema))
      } catch (error) {
        if (!(error instanceof RegistryFault)) throw error
        // One that no event here has may be missing there.
        if (schema === wanted || error.kind === 'away') throw error
      }
    }
  }

  const confirm = (subject: string) => {
    if ((confirmAtMs.get(subject) ?? 0) > performance.now()) return
    confirmAtMs.set(subject, Number.POSITIVE_INFINITY)
    askUpTo(subject, newestSchema).catch(error => {
      if (!(error instanceof RegistryFault)) throw error
      confirmAtMs.set(subject, performance.now() + CONFIRM_AGAIN_MS)
    })
  }

  return (topic, fingerprint) => {
    const subject = subjectOf(topic)
    const key = keyOf(subject, fingerprint)
    const id = known.get(key) ?? inbox.schemaId(nameOf(subject, { fingerprint }))
    if (id !== null) {
      known.set(key, id)
      confirm(subject)
      return id
    }
    const schema = schemaByFingerprint(fingerprint)
    if (!schema) {
      const which = `events wait that were written under schema ${fingerprint.toString('hex')}`
      const cure = 'this program is older than who wrote them: start the newer one'
      return Promise.reject(new RegistryFault('unknown', `${which}: ${cure}`))
    }
    return askUpTo(subject, schema).then(() => {
      confirmAtMs.set(subject, Number.POSITIVE_INFINITY)
      return known.get(key)!
    })
  }
}
