import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openWorkspace } from '../../gateway/inspect/command.ts'
import { reading } from '../../gateway/store/fixture.ts'

/** Commands that print, each with its exit code when nobody reads the output. */
const commands: [args: string[], code: number][] = [
  [['--help'], 0],
  [['tail', '--help'], 0],
  [['tail', '--count', '5'], 0],
  [['export', '--from', '2020-01-01T00:00:00Z'], 1],
  [['deadletters', 'list'], 0],
  [['status'], 0],
  [['status', '--json'], 1],
  [['archive', 'verify'], 2],
  [['doctor', '--json'], 0],
]

describe('a command whose output nobody reads', () => {
  it.each(commands)('%j ends without a stack trace', async (args, code) => {
    using workspace = openWorkspace()
    const outbox = openOutbox({ file: workspace.outboxFile, gateway: 'gw' })
    for (let group = 0; group < 6; group++) {
      const readings = Array.from({ length: 500 }, (_, number) => reading('a', number))
      outbox.commit({ readings, deadLetters: [] })
    }
    outbox.close()
    const { child, ended } = workspace.start(...args)
    child.stdout.destroy()
    const { code: ending, stderr } = await ended
    expect(stderr).not.toMatch(/EPIPE|\n +at /)
    expect(ending).toBe(code)
  })
})
