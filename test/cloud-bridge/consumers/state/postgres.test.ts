import { describeStateStore } from '../../../contracts/state-store.ts'
import { describeWithPostgres, startLocalPostgres } from '../../../setup/local-postgres.ts'

describeWithPostgres('PostgreSQL', () => {
  describeStateStore('PostgreSQL', async () => {
    const postgres = await startLocalPostgres()
    return {
      place: { dir: '', postgresUrl: postgres.url },
      async takeAway() {
        await postgres.stop()
        return postgres.start
      },
      [Symbol.asyncDispose]: postgres[Symbol.asyncDispose],
    }
  })
})
