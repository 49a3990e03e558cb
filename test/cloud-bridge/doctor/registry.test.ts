import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { runChecks } from '../../../cloud-bridge/doctor/check-runner.ts'
import { createChecks } from '../../../cloud-bridge/doctor/checks.ts'
import { findingLine } from '../../../cloud-bridge/doctor/finding.ts'
import { createRegistryClient } from '../../../cloud-bridge/registry/registry.ts'
import { createSchemaIdLookup } from '../../../cloud-bridge/registry/schema-ids.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { newestSchema } from '../../../config/schemas/released.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { temporary } from '../../gateway/store/fixture.ts'
import { createAuthority } from '../../setup/certificates.ts'
import {
  describeWithRegistry,
  registryAt,
  startRegistryGate,
} from '../../setup/registry/registry.ts'
import { freshTopics, type Topics } from '../forward/running-bridge.ts'

const SCHEMA = `SensorReading ${newestSchema.version}`
const foreign = '{"type":"record","name":"T","fields":[{"name":"a","type":"int"}]}'

describeWithRegistry('the doctor and a schema registry', () => {
  let [place, gate, topics] = [{} as Place, {} as Gate, {} as Topics]
  beforeEach(async () => {
    ;[place, gate, topics] = [temporary(), await startRegistryGate(), freshTopics()]
  })
  afterEach(async () => {
    await gate[Symbol.asyncDispose]()
    place[Symbol.dispose]()
  })

  /** The doctor's lines about the registry, without the names of this test. */
  async function found(more: Partial<Config['registry']> = {}): Promise<string[]> {
    const config: Config = {
      ...defaults,
      outbox: { ...defaults.outbox, file: place.file('outbox.db') },
      inbox: { ...defaults.inbox, file: place.file('inbox.db') },
      kafka: { ...defaults.kafka, topics },
      registry: { ...defaults.registry, url: gate.url, ...more },
    }
    const findings = await runChecks(createChecks(config), { findings: () => {}, slow: () => {} })
    const lines = findings.map(findingLine).filter(line => /registry|subject/.test(line))
    return lines.map(line =>
      line
        .replaceAll(gate.url, 'URL')
        .replaceAll(topics.readings, 'readings')
        .replaceAll(topics.backfill, 'backfill'),
    )
  }
  const subjects = () => [topics.readings, topics.backfill].map(topic => `${topic}-value`)
  const registerAll = async () => {
    const registry = createRegistryClient(registryAt(inject('registryUrl')!))
    for (const subject of subjects()) await registry.idOf(subject, newestSchema)
  }

  it('reports nothing without a registry', async () => {
    expect(await found({ url: null })).toEqual([])
  })

  it('finds whether a schema is registered or compatible, and registers nothing', async () => {
    const both = 'subject readings-value, backfill-value: the registry'
    const yet = `${both} does not have ${SCHEMA} yet; the bridge registers it; it is compatible`
    expect(await found()).toEqual([`ok     ${yet}`])
    expect(await found()).toEqual([`ok     ${yet}`])
    expect(gate.requests.filter(request => /^POST \/subjects\/.*versions/.test(request))).toEqual(
      [],
    )
    await registerAll()
    expect(await found()).toEqual([`ok     ${both} has ${SCHEMA}`])
    expect(await found({ register: false })).toEqual([`ok     ${both} has ${SCHEMA}`])
  })

  it('names each subject without a schema that may only be looked up', async () => {
    const lines = await found({ register: false })
    const file = `config/schemas/SensorReading.${newestSchema.version}.avsc`
    const cure = `Register ${file} there yourself, or`
    expect(lines).toEqual(
      ['readings', 'backfill'].map(topic =>
        expect.stringContaining(`URL has no ${SCHEMA} under ${topic}-value. ${cure} set registry.`),
      ),
    )
    expect(lines.every(line => line.startsWith('FAULT  registry: '))).toBe(true)
  })

  it('names the subject with an incompatible schema of another program', async () => {
    const response = await fetch(`${inject('registryUrl')}/subjects/${subjects()[1]}/versions`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ schema: foreign }),
    })
    expect(response.status).toBe(200)
    expect(await found()).toEqual([
      expect.stringMatching(/^ok {5}subject readings-value: /),
      `FAULT  registry: the schema registry URL rejects ${SCHEMA} as incompatible with ` +
        "backfill-value (409). Remove other programs' schemas from the subject, or give the " +
        'topic another name',
    ])
  })

  it('reports an unavailable registry once, with the cure', async () => {
    const unavailable = (reason: string) =>
      expect.stringMatching(`^FAULT {2}registry: the schema registry .* is unavailable: ${reason}`)
    gate.mode = 'silent'
    expect(await found({ requestTimeoutMs: 100 })).toEqual([
      unavailable('no answer in time\\. Start it, or check registry\\.url$'),
    ])
    expect(await found({ url: 'http://127.0.0.1:1' })).toEqual([
      unavailable('connect ECONNREFUSED 127.0.0.1:1\\. Start it, or check registry\\.url$'),
    ])
    expect(await found({ url: 'http://absent.invalid' })).toEqual([unavailable('getaddrinfo')])
    gate.mode = { status: 404, body: '<html>' }
    expect(await found()).toEqual([
      'FAULT  registry: the server at URL is not a schema registry (404). Check registry.url, ' +
        'with its path',
    ])
  })

  it('reports a wrong password until it is right', async () => {
    await using guarded = await startRegistryGate({ login: 'gw:right' })
    const login = (password: string) =>
      found({ url: guarded.url, username: 'gw', password: createSecret(password) })
    expect(await login('wrong')).toEqual([
      `FAULT  registry: the schema registry ${guarded.url} rejects the log-in of gw (401). ` +
        'Check registry.username and registry.passwordFile',
    ])
    expect(await found({ url: guarded.url })).toEqual([
      expect.stringMatching(/\(401\)\. Set registry\.username and registry\.passwordFile$/),
    ])
    expect(await login('right')).toEqual([expect.stringMatching(/^ok /)])
  })

  it('warns when it may not look up schemas that the bridge may register', async () => {
    gate.mode = { status: 403, body: '{"error_code":403}' }
    const denied =
      /registry: the schema registry URL does not allow this client to look up .* \(403\)\. /
    expect(await found({ register: false })).toEqual([
      ...Array.from(subjects(), () =>
        expect.stringMatching(`^FAULT {2}${denied.source}Grant that`),
      ),
    ])
    expect(await found()).toEqual([
      ...Array.from(subjects(), () => expect.stringMatching(`^warn {3}${denied.source}The bridge`)),
    ])
  })

  it('only warns while the bridge knows the schema ids', async () => {
    const inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
    const registry = createRegistryClient(registryAt(gate.url))
    const idOf = createSchemaIdLookup({ registry, inbox, onChanged: () => {} })
    await idOf(topics.readings, newestSchema.fingerprint)
    gate.mode = 'cut'
    const [readings, backfill] = await found()
    expect(readings).toContain('hang up; the bridge uses the schema id that it knows. Write')
    expect([readings, backfill]).toEqual([
      expect.stringMatching(/^warn {3}registry: /),
      expect.stringMatching(/^FAULT {2}registry: .* is unavailable: socket hang up\. Write https/),
    ])
    gate.mode = { status: 404, body: '{"error_code":40401}' }
    expect((await found({ register: false })).map(line => line.slice(0, 5))).toEqual([
      ...['FAULT', 'FAULT'],
    ])
    inbox.close()
  })

  it('uses TLS, and reports an untrusted certificate', async () => {
    const authority = createAuthority('Authority of tests')
    await using guarded = await startRegistryGate({
      certified: authority.certify('registry', { hosts: ['127.0.0.1'] }),
    })
    const trusting = (cert: string) => found({ url: guarded.url, ca: createSecret(cert) })
    const [valid, subject] = await trusting(authority.cert)
    expect(valid).toMatch(/^ok {5}registry\.caFile: valid until/)
    expect(subject).toMatch(/^ok {5}subject readings-value, backfill-value: /)
    expect((await trusting(createAuthority('Other').cert))[1]).toMatch(
      /^FAULT {2}registry: .*\. Name the authority of its certificate in registry\.caFile$/,
    )
  })
})

type Place = ReturnType<typeof temporary>
type Gate = Awaited<ReturnType<typeof startRegistryGate>>
