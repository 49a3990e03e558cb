import { DuckDBInstance } from '@duckdb/node-api'

// Reads an archive with DuckDB: one JSON line for each event, and one for each date and zone by the
// folders' names. The archive's directory is the argument.
const files = `'${process.argv[2]!.replaceAll("'", "''")}/events/*/*/*.parquet'`
const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
const told = async (sql: string) => {
  for (const row of (await connection.runAndReadAll(sql)).getRowObjectsJson()) {
    process.stdout.write(`${JSON.stringify(row)}\n`)
  }
}

await told(`
  SELECT id, gateway, epoch, sequence, zoneSequence, site, zone, device,
    epoch_ms(observedAt) AS observedAt, epoch_ms(receivedAt) AS receivedAt, clock,
    measurements, source, traceparent, kafkaTopic, kafkaPartition, kafkaOffset,
    epoch_ms(heardAt) AS heardAt
  FROM read_parquet(${files}, hive_partitioning = false)
  ORDER BY kafkaTopic, kafkaOffset`)
await told(`
  SELECT date, zone, count(*) AS events
  FROM read_parquet(${files}, hive_partitioning = true,
    hive_types = {'date': DATE, 'zone': VARCHAR})
  GROUP BY ALL ORDER BY ALL`)
connection.closeSync()
instance.closeSync()
