import { expect, it, vi } from 'vitest'
import { createDependencyStatus } from '../../../cloud-bridge/consumers/dependency-status.ts'
import { createLog } from '../../../config/process/log.ts'

it('an outage is logged at its beginning and end, and each report is counted', () => {
  const log = createLog('test', { level: 'silent' })
  const [info, warn] = [vi.spyOn(log, 'info'), vi.spyOn(log, 'warn')]
  const onFault = vi.fn()
  const status = createDependencyStatus(log, onFault)
  const report = status.reporterOf('consumer group')
  report(null)
  report('no broker')
  report('no leader')
  expect(status.unavailable()).toEqual({ 'consumer group': 'no leader' })
  expect(status.unavailableReasons()).toEqual(['consumer group: no leader'])
  report(null)
  expect(status.unavailable()).toEqual({})
  expect(warn.mock.calls).toEqual([
    [{ reason: 'no broker' }, 'consumer group unavailable; retrying'],
  ])
  expect(info.mock.calls).toEqual([['consumer group available again after 0 s']])
  expect(onFault).toHaveBeenCalledTimes(2)
})
