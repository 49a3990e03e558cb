import { describeAccept } from '../../contracts/accept.ts'
import { createMemoryAccept } from '../../contracts/memory-accept.ts'
import { openWriterAccept } from '../../contracts/writer-accept.ts'

describeAccept('in memory', async () => createMemoryAccept())

// Groups of one message, because a refusal refuses the whole group, whoever sent its messages.
const alone = { commitAtEvents: 1, groupMaxEvents: 1 }
describeAccept('by the writer', () => openWriterAccept({ outbox: alone }))
