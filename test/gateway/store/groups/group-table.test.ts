import { expect, it } from 'vitest'
import { readRows } from '../../../../gateway/store/file/readonly-database.ts'
import { GROUP_COLUMNS, GROUP_HEAD_COLUMNS } from '../../../../gateway/store/groups/group-table.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, temporary } from '../fixture.ts'

it('the listed columns of a group are those of the table, in its order', () => {
  using place = temporary()
  const file = place.file('outbox.db')
  openOutbox({ file, gateway: 'gw' }).close()
  const columns = readRows<{ name: string }>(file, 'PRAGMA table_info(groups)')
  expect(columns.map(({ name }) => name)).toEqual(GROUP_COLUMNS)
})

it('a group head is a row with the length of its body instead of the body', () => {
  using place = temporary()
  const file = place.file('outbox.db')
  const outbox = openOutbox({ file, gateway: 'gw' })
  outbox.commit({ readings: [reading('z', 1), reading('z', 2)], deadLetters: [] })
  outbox.close()
  const [row] = readRows<{ body: Buffer }>(file, 'SELECT * FROM groups')
  const { body, ...rest } = row!
  const heads = readRows(file, `SELECT ${GROUP_HEAD_COLUMNS} FROM groups`)
  expect(heads).toEqual([{ ...rest, bodyBytes: body.length }])
})
