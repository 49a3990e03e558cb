import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../config/config.ts'
import {
  localRunFile,
  openLocalRunNote,
  readLocalRun,
  withRunningKafka,
} from '../../config/local-run.ts'
import { openWorkspace } from '../gateway/inspect/command.ts'
import { temporary } from '../gateway/store/fixture.ts'

const run = { pid: process.pid, kafka: { brokers: ['127.0.0.1:1'] }, addresses: { MQTT: 'm:1' } }
const configIn = (place: { file(name: string): string }) => ({
  ...defaults,
  outbox: { ...defaults.outbox, file: place.file('data/outbox.db') },
})

describe('the note of a running sluice up', () => {
  it('gives commands the Kafka that runs, as long as the note is open', () => {
    using place = temporary()
    const config = configIn(place)
    const said: string[] = []
    const brokersNow = () => withRunningKafka(config, line => said.push(line)).kafka.brokers
    expect(brokersNow()).toEqual([])
    {
      using _note = openLocalRunNote(config, run)
      expect(readLocalRun(config)).toEqual(run)
      expect(brokersNow()).toEqual(['127.0.0.1:1'])
    }
    expect(brokersNow()).toEqual([])
    const [line, ...others] = said
    expect(line).toContain(`using 127.0.0.1:1 of the running ./sluice up (process ${process.pid}`)
    expect(others).toEqual([])
  })

  it('is ignored when brokers are configured, when its process has ended, and when damaged', () => {
    using place = temporary()
    const config = configIn(place)
    const fail = (line: string) => expect.unreachable(line)
    using _note = openLocalRunNote(config, run)
    const configured = { ...config, kafka: { ...config.kafka, brokers: ['kafka-1:9092'] } }
    expect(withRunningKafka(configured, fail)).toBe(configured)
    // The largest process id of Linux is 2^22.
    const ended = JSON.stringify({ ...run, pid: 2 ** 22 + 1 })
    for (const text of [ended, '', '{', 'null', '{"pid":1}', '{"kafka":{"brokers":[]}}']) {
      writeFileSync(localRunFile(config), text)
      expect(withRunningKafka(config, fail)).toBe(config)
    }
  })

  it('is read by every command that reads Kafka', async () => {
    using place = openWorkspace({ kafka: { requestTimeoutMs: 500 } })
    const outbox = { ...defaults.outbox, file: place.outboxFile }
    expect(dirname(localRunFile({ outbox }))).toBe(dirname(place.outboxFile))
    using _note = openLocalRunNote({ outbox }, run)
    writeFileSync(place.file('room.csv'), 'time,co2\n2026-05-01T08:00:00Z,612\n')
    const commands = [
      ['ledger', 'verify'],
      ['ledger', 'retire', 'gw', '--reason', 'test'],
      ['doctor'],
      ['import', place.file('room.csv')],
      ['deadletters', 'list', '--cloud'],
      ['replay', '--from', '-1h', '--archive', join(dirname(place.outboxFile), 'archive')],
    ]
    for (const words of commands) {
      const { stderr } = await place.run(...words)
      expect([words[0], stderr]).toEqual([
        words[0],
        expect.stringContaining('using 127.0.0.1:1 of'),
      ])
    }
  }, 120_000)

  it('gives the live screen of ./sluice status its address of Kafka', async () => {
    using place = openWorkspace()
    const outbox = { ...defaults.outbox, file: place.outboxFile }
    using _note = openLocalRunNote({ outbox }, run)
    const { child, output, ended } = place.start('status')
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    await ended
    expect(output.stdout).toContain('to 127.0.0.1:1, pages')
  }, 60_000)
})
