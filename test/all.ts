// `npm test` runs this file: it checks types and lint, runs every test, and prints the counts.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countTests, sumCounts, type TestCounts } from './setup/counts.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const tool = (path: string) => join(root, 'node_modules', path)

const types = await check(tool('typescript/bin/tsc'), ['-p', '.'])
const lint = await check(tool('@biomejs/biome/bin/biome'), ['check', '.'])
const tests = await runTests()
const { passed, failed, skipped } = sumCounts([types, lint, tests])
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exitCode = failed > 0 ? 1 : 0

async function check(program: string, args: string[]): Promise<TestCounts> {
  const hasPassed = (await run(program, args)) === 0
  return { passed: hasPassed ? 1 : 0, failed: hasPassed ? 0 : 1, skipped: 0 }
}

async function runTests(): Promise<TestCounts> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-report-'))
  const report = join(dir, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const exitCode = await run(tool('vitest/vitest.mjs'), ['run', ...reporters])
  const text = await readFile(report, 'utf8').catch(() => null)
  await rm(dir, { recursive: true, force: true })
  return countTests(text, exitCode)
}

function run(program: string, args: string[]): Promise<number> {
  const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => resolve(code ?? 1))
  })
}
