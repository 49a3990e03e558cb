import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { describeFaults, loadConfig } from '../../../config/config.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { type ManifestHead, verificationText, verifyArchive } from './verification.ts'

const CANNOT_SAY = 2

const program = new Command('sluice archive')
  .description('What the consumer `archive` has kept.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : CANNOT_SAY))

program
  .command('verify')
  .description('Says that all is as it was committed, or names each file and line that is not.')
  .option('--dir <dir>', 'the archive (default: consumers.archive.dir)')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .option('--json', 'print one JSON object instead')
  .option('--heads <file>', 'what --json printed once, and was kept elsewhere')
  .addHelpText(
    'after',
    `
Each line of a manifest holds the hashes of its files and of the line before. Whoever can write to
the archive could write all of it anew, or take away what came last: that shows when the hashes were
kept where he cannot write. Keep the output of --json, and give it back as --heads.

Exit codes:
  0  everything is as it was committed
  1  something was changed, removed or added since
  2  cannot say: wrong configuration, no such archive`,
  )
  .action(async ({ dir, config, json, heads: kept }: Asked) => {
    const at = dir ?? configuredDir(config)
    const proof = await verifyArchive(at, kept === undefined ? [] : headsIn(kept))
    if (!proof) throw new CannotStart(`there is no archive at ${at}`)
    process.stdout.write(`${json ? JSON.stringify(proof) : verificationText(proof)}\n`)
    process.exitCode = proof.faults.length === 0 ? 0 : 1
  })

type Asked = { dir?: string; config?: string; json?: boolean; heads?: string }

try {
  await program.parseAsync()
} catch (error) {
  const said = error instanceof CannotStart ? error.message : (error as Error).stack
  process.stderr.write(`${said}\n`)
  process.exitCode = CANNOT_SAY
}

function configuredDir(file: string | undefined): string {
  const loaded = loadConfig({ file, env: process.env })
  if ('faults' in loaded) throw new CannotStart(describeFaults(loaded.faults))
  return loaded.config.consumers.archive.dir
}

function headsIn(file: string): ManifestHead[] {
  try {
    const { partitions } = JSON.parse(readFileSync(file, 'utf8'))
    if (Array.isArray(partitions)) return partitions
  } catch (error) {
    throw new CannotStart(`${file}: ${(error as Error).message}`)
  }
  throw new CannotStart(`${file} is not what ./sluice archive verify --json printed`)
}
