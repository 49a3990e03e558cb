import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { text } from '../wire.ts'
import { answersTo, isRefusedWith, refusesConnect } from './checks.ts'
import { connectOf, openClient } from './client.ts'
import type { Statement } from './statement.ts'

const will = { topic: 'a' }

/** Section 3.1.2: the flags and fields of CONNECT. */
export const connectStatements: Statement[] = [
  {
    id: '3.1.2-1',
    says: 'A CONNECT with another protocol name than MQTT may be closed without an answer.',
    test: gateway =>
      refusesConnect(gateway, { name: 'mqtt' }, { name: 'MQTTX' }, { name: '' }, { name: 'HTTP' }),
  },
  {
    id: '3.1.2-2',
    says: 'A protocol level that is not supported gets CONNACK 0x01, and then the end.',
    test: async gateway => {
      for (const level of [0, 1, 3, 5, 6, 127]) {
        await isRefusedWith(1, answersTo(gateway, connectOf({ level })))
      }
    },
  },
  {
    id: '3.1.2-3',
    says: 'A CONNECT with the reserved flag closes the connection.',
    test: gateway => refusesConnect(gateway, { flags: 3 }, { flags: 1 }),
  },
  {
    id: '3.1.2-11',
    says: 'Without the will flag, will QoS and will RETAIN are 0, and there are no will fields.',
    test: async gateway => {
      await refusesConnect(gateway, { flags: 2 | 8 }, { flags: 2 | 32 })
      await refusesConnect(gateway, { rest: Buffer.concat([text('a'), text('b')]) })
    },
  },
  {
    id: '3.1.2-13',
    says: 'Without the will flag, the will QoS is 0.',
    test: gateway => refusesConnect(gateway, { flags: 2 | 8 }, { flags: 2 | 16 }, { flags: 26 }),
  },
  {
    id: '3.1.2-14',
    says: 'The will QoS is not 3.',
    test: gateway => refusesConnect(gateway, { will, flags: 2 | 4 | 24 }),
  },
  {
    id: '3.1.2-15',
    says: 'Without the will flag, will RETAIN is 0.',
    test: gateway => refusesConnect(gateway, { flags: 2 | 32 }),
  },
  {
    id: '3.1.2-18',
    says: 'Without the user name flag, there is no user name.',
    test: gateway => refusesConnect(gateway, { flags: 2, rest: text('user') }),
  },
  {
    id: '3.1.2-19',
    says: 'With the user name flag, there is a user name.',
    test: async gateway => {
      await refusesConnect(gateway, { flags: 2 | 128 })
      using client = await openClient(gateway, { userName: 'user' })
      await client.ping()
    },
  },
  {
    id: '3.1.2-20',
    says: 'Without the password flag, there is no password.',
    test: gateway => refusesConnect(gateway, { userName: 'user', rest: text('password') }),
  },
  {
    id: '3.1.2-21',
    says: 'With the password flag, there is a password.',
    test: async gateway => {
      await refusesConnect(gateway, { userName: 'user', flags: 2 | 128 | 64 })
      using client = await openClient(gateway, { userName: 'user', password: 'p\u0000' })
      await client.ping()
    },
  },
  {
    id: '3.1.2-22',
    says: 'Without the user name flag, the password flag is 0.',
    test: gateway => refusesConnect(gateway, { flags: 2 | 64, rest: text('password') }),
  },
  {
    id: '3.1.2-24',
    says: 'A client that is silent for one and a half times its keep alive is disconnected.',
    test: async gateway => {
      const startMs = performance.now()
      using silent = await openClient(gateway, { keepAliveS: 1 })
      using alive = await openClient(gateway, { keepAliveS: 1 })
      using untimed = await openClient(gateway, { keepAliveS: 0 })
      let isClosed = false
      const closed = silent.untilClosed().then(() => {
        isClosed = true
        assert.ok(performance.now() - startMs >= 1500)
      })
      while (!isClosed) {
        await alive.ping()
        await sleep(100)
      }
      await closed
      await alive.ping()
      await untimed.ping()
    },
  },
]
