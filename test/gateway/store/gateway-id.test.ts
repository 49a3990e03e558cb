import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { drawGatewayId } from '../../../gateway/store/gateway-id.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { isFirst, overwrite } from './file/damaged-file.ts'
import { reading, readOutbox, temporary } from './fixture.ts'

const DRAWN = /^gateway-[a-z2-7]{8}$/

function startPlace() {
  const place = temporary()
  const file = place.file('outbox.db')
  /** Runs the gateway once with a configured id, or without one. */
  const run = (configured: string | null, work: (outbox: Outbox) => void = () => {}) => {
    const outbox = openOutbox({ file, gateway: configured })
    outbox.commit({ readings: [reading('z')] })
    work(outbox)
    outbox.close()
    return outbox
  }
  return { ...place, file, run }
}
type Outbox = ReturnType<typeof openOutbox>

describe('the id of a gateway without a configured id', () => {
  it('is drawn at the first start, and stays', () => {
    using first = startPlace()
    using second = startPlace()
    const { gateway } = first.run(null)
    expect(gateway).toMatch(DRAWN)
    expect(first.run(null).gateway).toBe(gateway)
    expect(second.run(null).gateway).not.toBe(gateway)
    const { events, notes } = readOutbox(first.file)
    expect(new Set(events.map(event => event.gateway))).toEqual(new Set([gateway]))
    expect(new Set(notes.map(note => note.gateway))).toEqual(new Set([gateway]))
  })

  it('is the id that the store has: an upgraded store keeps the id "gateway"', () => {
    using at = startPlace()
    at.run('gateway')
    expect(at.run(null).gateway).toBe('gateway')
    // A configured id that differs is a rename, as before.
    const renamed = at.run('hq')
    const [end, begin] = readOutbox(at.file).notes.filter(({ run }) => run === renamed.epoch)
    expect([end!.kind, end!.gateway]).toEqual(['heads', 'gateway'])
    expect([begin!.kind, begin!.gateway]).toEqual(['epoch', 'hq'])
    expect(at.run(null).gateway).toBe('hq')
  })

  it('outlasts damage of the file and the loss of the file', () => {
    using at = startPlace()
    at.run('hq')
    overwrite(at.file, isFirst)
    const salvaged = at.run(null)
    expect(salvaged.recovery).not.toBe(null)
    expect(salvaged.gateway).toBe('hq')

    using changed = startPlace()
    changed.run('hq')
    const db = new Database(changed.file)
    db.exec("UPDATE store SET gateway = 'ha'")
    db.close()
    overwrite(changed.file, isFirst)
    expect(changed.run(null).gateway).toBe('hq')

    using other = startPlace()
    const { gateway } = other.run(null)
    for (const end of ['', '-wal', '-shm']) rmSync(`${other.file}${end}`, { force: true })
    expect(other.run(null).gateway).toBe(gateway)
  })

  it('is base32 of the first 40 bits of the store id', () => {
    expect(drawGatewayId(Buffer.alloc(16))).toBe('gateway-aaaaaaaa')
    expect(drawGatewayId(Buffer.alloc(16, 255))).toBe('gateway-77777777')
    // The test vector of RFC 4648, section 10: BASE32("fooba") = "MZXW6YTB".
    expect(drawGatewayId(Buffer.from('foobarfoobarfoob'))).toBe('gateway-mzxw6ytb')
  })
})

describe('a rename', () => {
  it('is reported, also when the same start salvages the outbox', () => {
    using at = startPlace()
    at.run('old')
    overwrite(at.file, isFirst)
    const renamed = at.run('new')
    expect(renamed.recovery).not.toBe(null)
    const notes = readOutbox(at.file).notes.filter(({ run }) => run === renamed.epoch)
    const ends = notes.filter(({ kind }) => kind === 'heads' || kind === 'epoch').slice(0, 2)
    expect(ends.map(({ kind, gateway }) => [kind, gateway])).toEqual([
      ['heads', 'old'],
      ['epoch', 'new'],
    ])
  })
})
