import { readFileSync } from 'node:fs'
import {
  createProgram,
  exitWith,
  requireConfig,
  runCommand,
  withConfig,
} from '../../../config/process/command-line.ts'
import { exitStatusOf } from '../../../config/process/exit-codes.ts'
import { CannotStart, stopSignal } from '../../../config/process/lifetime.ts'
import { createNoArchiveError } from './committed-files.ts'
import { compactArchive, compactionText } from './compaction-command.ts'
import { type ManifestHead, verificationText, verifyArchive } from './verification.ts'

const STOP_MS = 60_000
const ARCHIVE_KEY = '--dir or consumers.archive.dir'
const { env } = process
const program = createProgram(
  'sluice archive',
  'Commands for the archive, the Parquet files of the consumer `archive`.',
)

withConfig(program.command('verify'), env)
  .description(
    'Verifies that the archive is as it was committed; names each file or line that is not.',
  )
  .option('--dir <dir>', 'the archive (default: consumers.archive.dir)')
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
    const archiveDir = dir ?? requireConfig(config, env).consumers.archive.dir
    const heads = headsFile === undefined ? [] : readHeads(headsFile)
    const result = await verifyArchive(archiveDir, heads)
    if (!result) throw createNoArchiveError(archiveDir, ARCHIVE_KEY)
    process.stdout.write(`${json ? JSON.stringify(result) : verificationText(result)}\n`)
    process.exitCode = exitStatusOf(result.faults.length === 0 ? 'DONE' : 'ERR_NEGATIVE')
  })

withConfig(program.command('compact'), env)
  .description(
    'Merges the small files of earlier dates now; the consumer `archive` does so once a day.',
  )
  .option('--dir <dir>', 'the archive (default: consumers.archive.dir)')
  .addHelpText(
    'after',
    `
A running consumer \`archive\` loses the partitions that have files to merge. At its next commit the
consumer claims them again, and reads from Kafka again what it has not committed.

Exit codes:
  0  all files of earlier dates are merged
  1  some files stay as they are; the messages say why
  2  wrong configuration, or no archive there
  130  a signal ended the command before all files were merged`,
  )
  .action(async ({ dir, config }: VerifyOptions) => {
    const archiveDir = dir ?? requireConfig(config, env).consumers.archive.dir
    process.umask(0o077)
    const signal = stopSignal(STOP_MS)
    const counts = await compactArchive({
      ...{ dir: archiveDir, signal },
      onMessage: line => process.stderr.write(`${line}\n`),
    })
    if (!counts) throw createNoArchiveError(archiveDir, ARCHIVE_KEY)
    process.stdout.write(`${compactionText(counts, signal.aborted)}\n`)
    if (signal.aborted) exitWith('interrupted: run the command again', 'ERR_INTERRUPTED')
    process.exitCode = exitStatusOf(counts.problems === 0 ? 'DONE' : 'ERR_NEGATIVE')
  })

type VerifyOptions = { dir?: string; config?: string; json?: boolean; heads?: string }

await runCommand(program, { unknownErrors: 'ERR_MISCONFIGURED' })

function readHeads(file: string): ManifestHead[] {
  try {
    const { partitions } = JSON.parse(readFileSync(file, 'utf8'))
    if (Array.isArray(partitions)) return partitions
  } catch (error) {
    throw new CannotStart(`cannot read the file of --heads, ${file}: ${(error as Error).message}`)
  }
  throw new CannotStart(`${file} is no output of ./sluice archive verify --json`)
}
