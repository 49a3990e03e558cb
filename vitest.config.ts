import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/kafka/local-kafka.ts', 'test/setup/registry/local-registry.ts'],
    // Two, because each file brings processes of its own: a broker, a gateway, a building.
    maxWorkers: 2,
    // As 'test', which is vitest's own choice, kafkajs retries three times as often as it does.
    env: { NODE_ENV: 'production' },
    // kafkajs 2 asks for timers in the past, of which Node 24 warns each time.
    execArgv: ['--disable-warning=TimeoutNegativeWarning'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
})
