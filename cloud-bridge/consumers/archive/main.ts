import { readFileSync } from 'node:fs'
import {
  createProgram,
  requireConfig,
  runCommand,
  withConfig,
} from '../../../config/process/command-line.ts'
import { exitStatusOf } from '../../../config/process/exit-codes.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { type ManifestHead, verificationText, verifyArchive } from './verification.ts'

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
    if (!result) {
      const cure = 'name its directory in --dir or consumers.archive.dir'
      throw new CannotStart(`there is no archive at ${archiveDir}: ${cure}`)
    }
    process.stdout.write(`${json ? JSON.stringify(result) : verificationText(result)}\n`)
    process.exitCode = exitStatusOf(result.faults.length === 0 ? 'DONE' : 'ERR_NEGATIVE')
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
