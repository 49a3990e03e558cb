import { describe, expect, it } from 'vitest'
import { serverProperties } from '../../../simulators/kafka/server-properties.ts'

describe('the broker’s settings', () => {
  it('have the address and a relative data folder; every line is a comment or a setting', () => {
    const text = serverProperties({ port: 1111, controllerPort: 2222, dataDir: 'data' })
    const lines = text.trimEnd().split('\n')
    expect(lines).toContain('advertised.listeners=PLAINTEXT://127.0.0.1:1111')
    expect(lines).toContain('controller.quorum.voters=1@127.0.0.1:2222')
    expect(lines).toContain('log.dirs=data')
    expect(lines).toContain('auto.create.topics.enable=false')
    for (const line of lines) expect(line).toMatch(/^# .+$|^[a-z.]+=[^ ]+$/)
  })

  it('have additional listeners, the nodes of a cluster, and extra properties last', () => {
    const text = serverProperties({
      port: 1111,
      controllerPort: 2222,
      dataDir: 'data',
      listeners: [{ name: 'PROXIED', port: 3333, protocol: 'SSL', advertisedPort: 4444 }],
      clusterNode: { clusterId: 'ours', nodeId: 2, controllerPorts: [5555, 2222] },
      properties: { 'min.insync.replicas': 2 },
    })
    const lines = text.trimEnd().split('\n')
    expect(lines).toContain('node.id=2')
    expect(lines).toContain('controller.quorum.voters=1@127.0.0.1:5555,2@127.0.0.1:2222')
    expect(lines).toContain(
      'listeners=PLAINTEXT://127.0.0.1:1111,PROXIED://127.0.0.1:3333,CONTROLLER://127.0.0.1:2222',
    )
    expect(lines).toContain(
      'advertised.listeners=PLAINTEXT://127.0.0.1:1111,PROXIED://127.0.0.1:4444',
    )
    expect(lines).toContain(
      'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:SSL,CONTROLLER:PLAINTEXT',
    )
    expect(lines.at(-1)).toBe('min.insync.replicas=2')
  })
})
