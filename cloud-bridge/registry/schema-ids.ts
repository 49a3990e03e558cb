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

/** The time after which a failed confirmation is tried again. */
const CONFIRM_RETRY_MS = 60_000

/**
 * The id of the schema with this fingerprint; a promise when the id must be requested from the
 * registry.
 */
export type SchemaIdLookup = (topic: string, fingerprint: Buffer) => number | Promise<number>

export type SchemaIdLookupOptions = {
  registry: Pick<RegistryClient, 'url' | 'idOf'>
  inbox: Pick<Inbox, 'schemaId' | 'keepSchemaId'>
  /**
   * Called when the registry gives a schema another id than before, because the registry was
   * rebuilt or is another registry.
   */
  onChanged(message: string): void
}

/**
 * Looks up the schema ids for the registry's wire format. An id from the registry is stored in the
 * inbox and used at once after a restart, also while the registry is unavailable. Once per subject
 * and run, a request to the registry checks whether the id is still the same. Rejects with
 * RegistryFault when an id is neither stored nor available.
 */
export function createSchemaIdLookup({
  registry,
  inbox,
  onChanged,
}: SchemaIdLookupOptions): SchemaIdLookup {
  const ids = new Map<string, number>()
  const confirmAtMs = new Map<string, number>()
  const storedKey = (subject: string, { fingerprint }: Pick<ReleasedSchema, 'fingerprint'>) => ({
    ...{ registry: registry.url, subject, fingerprint },
  })
  const memoryKey = (subject: string, fingerprint: Buffer) =>
    `${fingerprint.toString('latin1')}${subject}`

  const keep = (subject: string, schema: ReleasedSchema, id: number) => {
    const key = storedKey(subject, schema)
    const previous = inbox.schemaId(key)
    ids.set(memoryKey(subject, schema.fingerprint), id)
    if (previous === id) return
    if (previous !== null) {
      const named = `SensorReading ${schema.version} of ${subject}`
      onChanged(`the schema registry gives id ${id} for ${named} now, before ${previous}`)
    }
    try {
      inbox.keepSchemaId(key, id)
    } catch (error) {
      // The id stays in memory; the next run requests it from the registry again.
      if (!isDiskFull(error)) throw error
    }
  }

  /**
   * Gets the ids of all released schemas up to `last`, the oldest first, so that a registry that
   * registers them numbers its versions in the same order.
   */
  const fetchUpTo = async (subject: string, last: ReleasedSchema): Promise<void> => {
    for (const schema of releasedSchemas.filter(({ version }) => version <= last.version)) {
      try {
        keep(subject, schema, await registry.idOf(subject, schema))
      } catch (error) {
        if (!(error instanceof RegistryFault)) throw error
        // An older schema that no event uses may be missing in the registry.
        if (schema === last || error.kind === 'unavailable') throw error
      }
    }
  }

  const confirm = (subject: string) => {
    if ((confirmAtMs.get(subject) ?? 0) > performance.now()) return
    confirmAtMs.set(subject, Number.POSITIVE_INFINITY)
    fetchUpTo(subject, newestSchema).catch(error => {
      if (!(error instanceof RegistryFault)) throw error
      confirmAtMs.set(subject, performance.now() + CONFIRM_RETRY_MS)
    })
  }

  return (topic, fingerprint) => {
    const subject = subjectOf(topic)
    const key = memoryKey(subject, fingerprint)
    const id = ids.get(key) ?? inbox.schemaId(storedKey(subject, { fingerprint }))
    if (id !== null) {
      ids.set(key, id)
      confirm(subject)
      return id
    }
    const schema = schemaByFingerprint(fingerprint)
    if (!schema) {
      const waiting = `events with the unknown schema ${fingerprint.toString('hex')} wait`
      const cure =
        'a newer version of this program wrote them: upgrade this program to that version'
      return Promise.reject(new RegistryFault('not registered', `${waiting}: ${cure}`))
    }
    return fetchUpTo(subject, schema).then(() => {
      confirmAtMs.set(subject, Number.POSITIVE_INFINITY)
      return ids.get(key)!
    })
  }
}
