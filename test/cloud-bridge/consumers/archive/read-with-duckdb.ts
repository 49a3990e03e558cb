import { DuckDBInstance } from '@duckdb/node-api'

// Reads an archive with DuckDB. Prints one JSON line for each event, and one for each date of the
// folders' names and zone. The argument is the archive's directory.
const files = `'${process.argv[2]!.replaceAll("'", "''")}/events/*/*/*.parquet'`
const instance = await DuckDBInstance.create(':memory:')
const connection = await instance.connect()
const print = async (sql: string) => {
  for (const row of (await connection.runAndReadAll(sql)).getRowObjectsJson()) {
    process.stdout.write(`${JSON.stringify(row)}\n`)
  }
}

await print(`
  SELECT id, gateway, epoch, sequence, zoneSequence, site, zone, device,
    epoch_ms(observedAt) AS observedAt, epoch_ms(receivedAt) AS receivedAt, clock,
    measurements, source, traceparent, kafkaTopic, kafkaPartition, kafkaOffset,
    epoch_ms(heardAt) AS heardAt
  FROM read_parquet(${files}, hive_partitioning = false)
  ORDER BY kafkaTopic, kafkaOffset`)
await print(`
  SELECT date, zone, count(*) AS events
  FROM read_parquet(${files}, hive_partitioning = true, hive_types = {'date': DATE})
  GROUP BY ALL ORDER BY ALL`)
connection.closeSync()
instance.closeSync()
