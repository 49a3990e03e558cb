import { randomUUID } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { createRegistryClient } from '../../../cloud-bridge/registry/registry.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { newestSchema, releasedSchemas } from '../../../config/schemas/released.ts'
import {
  describeWithRegistry,
  registryAt,
  startRegistryGate,
} from '../../setup/registry/registry.ts'

const freshSubject = () => `readings-${randomUUID()}-value`
const first = releasedSchemas[0]!

/** Registers a text under a subject, as another program would. */
async function register(subject: string, schema: string, schemaType = 'AVRO') {
  const response = await fetch(`${inject('registryUrl')}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ schema, schemaType }),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { id: number }).id
}

const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: Error & { kind: string }) => `${error.kind}: ${error.message}`,
  )

describeWithRegistry('a schema registry', () => {
  it('gives each of our schemas one id, however often the schema is registered', async () => {
    const registry = createRegistryClient(registryAt(`${inject('registryUrl')}/`))
    const subject = freshSubject()
    const ids = []
    for (const schema of [...releasedSchemas, ...releasedSchemas])
      ids.push(await registry.idOf(subject, schema))
    expect(new Set(ids).size).toBe(releasedSchemas.length)
    const schemas = await registry.schemasOf(subject)
    expect([...schemas.keys()]).toEqual(ids.slice(0, releasedSchemas.length))
    expect([...schemas.values()]).toEqual(releasedSchemas.map(({ text }) => JSON.parse(text)))
  })

  it('only looks schemas up, if so configured, also with other white space', async () => {
    const lookUp = createRegistryClient(registryAt(inject('registryUrl')!, { register: false }))
    const subject = freshSubject()
    expect(await lookUp.schemasOf(subject)).toEqual(new Map())
    const missing = `has no SensorReading ${newestSchema.version} under ${subject}. Register `
    const cure = `config/schemas/SensorReading.${newestSchema.version}.avsc there yourself, or set `
    expect(await faultOf(lookUp.idOf(subject, newestSchema))).toContain(
      `${missing}${cure}registry.`,
    )

    const id = await register(subject, JSON.stringify(JSON.parse(newestSchema.text), null, 2))
    expect(await lookUp.idOf(subject, newestSchema)).toBe(id)
    expect(await faultOf(lookUp.idOf(subject, first))).toContain('not registered: ')
    expect([...(await lookUp.schemasOf(subject)).keys()]).toEqual([id])
  })

  it('refuses a schema that is incompatible with a schema of another program', async () => {
    const subject = freshSubject()
    const fields = [{ name: 'other', type: 'int' }]
    const foreign = JSON.stringify({ type: 'record', name: 'Theirs', fields })
    await register(subject, foreign)
    const registry = createRegistryClient(registryAt(inject('registryUrl')!))
    const fault = await faultOf(registry.idOf(subject, newestSchema))
    expect(fault).toContain(
      `rejects SensorReading ${newestSchema.version} as incompatible with ${subject} (409`,
    )
    expect(fault).toContain(
      ". Remove other programs' schemas from the subject, or give the topic another",
    )
    expect(fault).not.toContain('\n')
  })

  it('checks the compatibility of a schema without registering the schema', async () => {
    const registry = createRegistryClient(registryAt(inject('registryUrl')!))
    const [fresh, older, foreign] = [freshSubject(), freshSubject(), freshSubject()]
    await registry.idOf(older, first)
    expect([
      await registry.isCompatible(fresh, newestSchema),
      await registry.isCompatible(older, newestSchema),
    ]).toEqual([...[true, true]])
    await register(foreign, '{"type":"record","name":"T","fields":[{"name":"a","type":"int"}]}')
    expect(await faultOf(registry.isCompatible(foreign, newestSchema))).toBe(
      `incompatible: the schema registry ${inject('registryUrl')} rejects SensorReading ` +
        `${newestSchema.version} as incompatible with ${foreign} (409). Remove other programs' ` +
        'schemas from the subject, or give the topic another name',
    )
    expect(await registry.schemasOf(fresh)).toEqual(new Map())
    expect((await registry.schemasOf(older)).size).toBe(1)
  })

  it('ignores schemas that are not Avro', async () => {
    const subject = freshSubject()
    await register(subject, '{"$schema":"http://json-schema.org/draft-07/schema#"}', 'JSON')
    const registry = createRegistryClient(registryAt(inject('registryUrl')!))
    expect(await registry.schemasOf(subject)).toEqual(new Map())
  })
})

describeWithRegistry('a registry that gives no id', () => {
  const json = (status: number, code: number, message: string) => ({
    status,
    body: JSON.stringify({ error_code: code, message }),
  })
  const login = { username: 'gw', password: createSecret('hunter2') }

  it.each([
    [
      'cut' as const,
      {},
      'unavailable: the schema registry URL is unavailable: socket hang up. ' +
        'Write https:// in registry.url if the registry has TLS',
    ],
    [
      'silent' as const,
      {},
      'unavailable: the schema registry URL is unavailable: no answer in time',
    ],
    [
      json(503, 50301, 'later,\n please'),
      {},
      'unavailable: the schema registry URL is unavailable: it answers 503: later, please',
    ],
    [
      json(401, 401, 'Unauthorized'),
      {},
      'not authenticated: the schema registry URL requires a log-in (401). ' +
        'Set registry.username and registry.passwordFile',
    ],
    [
      json(401, 401, 'Unauthorized'),
      login,
      'not authenticated: the schema registry URL rejects the log-in of gw (401). ' +
        'Check registry.username and registry.passwordFile',
    ],
    [
      json(403, 403, 'Forbidden'),
      login,
      'not authorized: the schema registry URL does not allow gw to register SensorReading 1 ' +
        'under r-value (403). Grant that right, or register config/schemas/SensorReading.1.avsc ' +
        'there yourself and set registry.register: false',
    ],
    [
      json(422, 42205, 'Subject r-value is in read-only mode'),
      {},
      'refused: the schema registry URL refuses SensorReading 1 for r-value ' +
        '(422: Subject r-value is in read-only mode)',
    ],
    [
      json(404, 404, 'HTTP 404 Not Found'),
      {},
      'refused: the server at URL is not a schema registry (404: HTTP 404 Not Found). ' +
        'Check registry.url, with its path',
    ],
    [
      { status: 200, body: '<html>Welcome</html>' },
      {},
      'refused: the server at URL is not a schema registry (200). Check registry.url, with its path',
    ],
    [
      { status: 200, body: '{"id":-1}' },
      {},
      'refused: the server at URL is not a schema registry (200). Check registry.url, with its path',
    ],
  ])('is reported in one line with the cure: %o', async (mode, more, line) => {
    await using gate = await startRegistryGate()
    gate.mode = mode
    const options = registryAt(gate.url, { requestTimeoutMs: 300, ...more })
    const fault = await faultOf(createRegistryClient(options).idOf('r-value', first))
    expect(fault.replaceAll(gate.url, 'URL')).toBe(line)
    expect(fault).not.toContain('hunter2')
  })

  it('is reported when nothing listens, and when the host is unknown', async () => {
    const faultAt = (url: string) => faultOf(createRegistryClient(registryAt(url)).idOf('r', first))
    expect(await faultAt('http://127.0.0.1:1')).toContain('is unavailable: connect ECONNREFUSED')
    expect(await faultAt('http://absent.invalid')).toContain('is unavailable: getaddrinfo')
    const plainPort = await faultAt(`https${inject('registryUrl')!.slice(4)}`)
    expect(plainPort).toMatch(
      /^unavailable: .+ Write http:.. in registry.url if the registry has no TLS$/,
    )
  })

  it('gets the configured credentials', async () => {
    await using gate = await startRegistryGate()
    const login = { username: 'gw', password: createSecret('p:ä') }
    await createRegistryClient(registryAt(gate.url, login)).idOf(freshSubject(), first)
    expect([...gate.logins]).toEqual([`Basic ${Buffer.from('gw:p:ä').toString('base64')}`])
  })

  it('is not waited for after an abort', async () => {
    await using gate = await startRegistryGate()
    gate.mode = 'silent'
    const aborting = new AbortController()
    const options = { signal: aborting.signal, requestTimeoutMs: 60_000 }
    const fault = faultOf(createRegistryClient(registryAt(gate.url, options)).idOf('r', first))
    aborting.abort()
    expect(await fault).toContain('unavailable: ')
  })
})
