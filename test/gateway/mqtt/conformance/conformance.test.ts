import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GatewayProcess, startGatewayProcess } from '../../../setup/gateway-process.ts'
import { conformanceDocument, documentFile } from './document.ts'
import { statements } from './statements.ts'

let gateway: GatewayProcess
beforeAll(async () => {
  gateway = await startGatewayProcess()
})
afterAll(() => gateway[Symbol.asyncDispose]())

describe('MQTT 3.1.1', () => {
  for (const statement of statements) {
    if ('test' in statement) {
      it(`[MQTT-${statement.id}] ${statement.says}`, () => statement.test(gateway))
    }
  }

  it('is covered by at least 100 statements, each once', () => {
    const ids = statements.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(statements.filter(statement => 'test' in statement).length).toBeGreaterThanOrEqual(100)
  })

  it('is described by docs/mqtt-conformance.md, which is generated from the statements', () => {
    expect(readFileSync(documentFile, 'utf8')).toBe(conformanceDocument())
  })

  it('leaves the gateway running, without an error in its log', () => {
    expect(gateway.isRunning).toBe(true)
    const lines = gateway.logText().split('\n').filter(Boolean)
    expect(lines.filter(line => JSON.parse(line).level >= 50)).toEqual([])
  })
})
