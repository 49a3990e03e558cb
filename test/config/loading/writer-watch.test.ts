import { expect, it } from 'vitest'
import { loadConfig } from '../../../config/config.ts'

it('the deadlines of the writer thread must be in the order alarm, end', () => {
  const env = { SLUICE_OUTBOX_WRITER_ALARM_AFTER_MS: '130000' }
  const loaded = loadConfig({ env })
  expect('faults' in loaded && loaded.faults.map(({ key, reason }) => ({ key, reason }))).toEqual([
    {
      key: 'outbox.writer.endAfterMs',
      reason: expect.stringContaining('the gateway would end before it raises the alarm'),
    },
  ])
})
