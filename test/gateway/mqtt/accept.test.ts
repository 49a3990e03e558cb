import { describeAccept } from '../../contracts/accept.ts'
import { createMemoryAccept } from '../../contracts/memory-accept.ts'
import { openWriterAccept } from '../../contracts/writer-accept.ts'

describeAccept('in memory', async () => createMemoryAccept())

// Each group has one message, because a refusal refuses all messages of a group, whichever device
// sent them.
const alone = { commitAtEvents: 1, groupMaxEvents: 1 }
describeAccept('by the writer', () => openWriterAccept({ outbox: alone }))
