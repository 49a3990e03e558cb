import { describeAccept } from '../../contracts/accept.ts'
import { startMemoryAccept } from '../../contracts/memory-accept.ts'
import { startWriterAccept } from '../../contracts/writer-accept.ts'

describeAccept('in memory', async () => startMemoryAccept())

// Groups of one, because a refusal hits the whole group, whoever sent what is in it.
const alone = { commitAtEvents: 1, groupMaxEvents: 1 }
describeAccept('by the writer', () => startWriterAccept({ outbox: alone }))
