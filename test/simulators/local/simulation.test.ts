import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openWorkspace } from '../../gateway/inspect/command.ts'
import { startBroker } from '../devices/devices-broker.ts'

describe('./sluice simulate --replay', () => {
  const soon = { timeout: 20_000, interval: 20 }
  const openReplay = (text: string) => {
    const workspace = openWorkspace()
    const file = workspace.file('room.csv')
    writeFileSync(file, text)
    return { ...workspace, file }
  }

  it.each([
    ['a,b\n1,2\n', ':1: the header (a, b) has none of timestamp, time, datetime, date, ts'],
    ['PK\0\x03', ':1: the file is no text'],
    ['time,a\n1,2\n2,x\n', ':3, column "a": "x" is not a number'],
  ])('refuses %j in one line, with exit code 2', async (text, reason) => {
    await using broker = await startBroker()
    using at = openReplay(text)
    const address = ['--port', String(broker.port), '--speed', 'max']
    const { code, stderr } = await at.run('simulate', '--replay', at.file, ...address)
    expect(code).toBe(2)
    expect(stderr.split('\n').filter(line => line.startsWith(at.file))).toEqual([
      expect.stringContaining(`${at.file}${reason}`),
    ])
    expect(stderr).not.toMatch(/\n +at /)
  })

  it('reads the column that an option names, and decimal commas', async () => {
    await using broker = await startBroker()
    using at = openReplay('when;note;t\n2026-05-01 08:00;open;21,5\n')
    const columns = ['--time-column', 'when', '--text-columns', 'note', '--decimal', 'comma']
    const address = ['--port', String(broker.port)]
    const { code } = await at.run('simulate', '--replay', at.file, ...address, ...columns)
    expect(code).toBe(0)
    expect(broker.arrivals.map(({ body }) => body)).toMatchObject([
      { when: '2026-05-01 08:00', note: 'open', t: 21.5 },
    ])
  })

  it('names the first row that was not sent when a signal ends the replay', async () => {
    await using broker = await startBroker()
    using at = openReplay('time,a\n1000,1\n1001,2\n2000000000,3\n')
    const address = ['--port', String(broker.port)]
    const { child, ended } = at.start('simulate', '--replay', at.file, ...address)
    await expect.poll(() => broker.acknowledged.size, soon).toBe(2)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(130)
    expect(stderr).toContain(`the rows from ${at.file}:4 on are not sent`)
    expect(JSON.parse(stdout)).toMatchObject({ acknowledged: 2, unsentFrom: `${at.file}:4` })
  })

  it('ends with 1 when --for ends the replay before the last row', async () => {
    await using broker = await startBroker()
    using at = openReplay('time,a\n1000,1\n2000000000,2\n')
    const args = ['--port', String(broker.port), '--for', '1s']
    const { code, stdout, stderr } = await at.run('simulate', '--replay', at.file, ...args)
    expect(stderr).toContain(`the rows from ${at.file}:3 on are not sent`)
    expect(JSON.parse(stdout)).toMatchObject({ acknowledged: 1, unsentFrom: `${at.file}:3` })
    expect(code).toBe(1)
  })

  it.each(['--rate', '--devices', '--seed'])(
    'refuses %s, which a replay does not use',
    async flag => {
      using at = openReplay('time,a\n1000,1\n')
      const { code, stderr } = await at.run('simulate', '--replay', at.file, flag, '5')
      expect(stderr).toContain(
        `${flag} is for a simulated building: leave ${flag} out with --replay`,
      )
      expect(code).toBe(2)
    },
  )
})

describe('./sluice simulate', () => {
  it.each([
    ['--speed', '2'],
    ['--site', 'hq'],
    ['--time-column', 'when'],
    ['--text-columns', 'note'],
    ['--decimal', 'comma'],
  ])('refuses %s without recordings', async (flag, value) => {
    using at = openWorkspace()
    const { code, stderr } = await at.run('simulate', flag, value, '--for', '1s')
    expect(stderr).toContain(`${flag} is for recordings: leave ${flag} out`)
    expect(code).toBe(2)
  })
})
