import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { describeFaults, loadConfig } from '../../../config/config.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { type ManifestHead, verificationText, verifyArchive } from './verification.ts'

const CANNOT_VERIFY = 2

const program = new Command('sluice archive')
  .description('Commands for the archive, the Parquet files of the consumer `archive`.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : CANNOT_VERIFY))

program
  .command('verify')
  .description(
    'Verifies that the archive is as it was committed; names each file or line that is not.',
  )
  .option('--dir <dir>', 'the archive (default: consumers.archive.dir)')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .option('--json', 'print one JSON object instead')
  .option('--heads <file>', 'an earlier output of --json that was stored elsewhere')
  .addHelpText(
    'after',
    `
Each line of a manifest has the hashes of its files and of the previous line. Somebody with write
access to the archive could rewrite all of it, or remove the newest commits. Only hashes stored
where that person cannot write show this: store the output of --json there, and pass it as --heads.

Exit codes:
  0  everything is as it was committed
  1  a file or line was changed, removed or added since
  2  cannot verify: wrong configuration, or no archive there`,
  )
  .action(async ({ dir, config, json, heads: headsFile }: VerifyOptions) => {
    const archiveDir = dir ?? readConfiguredDir(config)
    const heads = headsFile === undefined ? [] : readHeads(headsFile)
    const result = await verifyArchive(archiveDir, heads)
    if (!result) throw new CannotStart(`there is no archive at ${archiveDir}`)
    process.stdout.write(`${json ? JSON.stringify(result) : verificationText(result)}\n`)
    process.exitCode = result.faults.length === 0 ? 0 : 1
  })

type VerifyOptions = { dir?: string; config?: string; json?: boolean; heads?: string }

try {
  await program.parseAsync()
} catch (error) {
  const message = error instanceof CannotStart ? error.message : (error as Error).stack
  process.stderr.write(`${message}\n`)
  process.exitCode = CANNOT_VERIFY
}

function readConfiguredDir(file: string | undefined): string {
  const loaded = loadConfig({ file, env: process.env })
  if ('faults' in loaded) throw new CannotStart(describeFaults(loaded.faults))
  return loaded.config.consumers.archive.dir
}

function readHeads(file: string): ManifestHead[] {
  try {
    const { partitions } = JSON.parse(readFileSync(file, 'utf8'))
    if (Array.isArray(partitions)) return partitions
  } catch (error) {
    throw new CannotStart(`${file}: ${(error as Error).message}`)
  }
  throw new CannotStart(`${file} is no output of ./sluice archive verify --json`)
}
