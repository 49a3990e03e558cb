/**
 * Every way in which a process of Sluice ends: error code, exit status and meaning. Errors have a
 * field `ending` with their error code; docs/exit-codes.md shows this table. A supervisor restarts
 * a process
 * that ended with status 1, and leaves a process that ended with status 2 to a person.
 */
export const exitCodes = {
  DONE: { status: 0, meaning: 'the command did its work, or the service stopped after a signal' },
  ERR_FAILED: { status: 1, meaning: 'an unexpected error; the message has its stack' },
  ERR_TEMPORARY: {
    status: 1,
    meaning: 'an obstacle that may pass by itself, such as a full disk or Kafka away: start again',
  },
  ERR_REFUSED: { status: 1, meaning: 'the running gateway or bridge refused the command' },
  ERR_NEGATIVE: {
    status: 1,
    meaning: 'the command did its work and found faults, gaps or changes, or found nothing to do',
  },
  ERR_MISCONFIGURED: {
    status: 2,
    meaning: 'a person must act first: configuration, command line, file or topic is wrong',
  },
  ERR_UNPROVEN: { status: 3, meaning: 'nothing is missing, but no proof is possible now' },
  ERR_INTERRUPTED: { status: 130, meaning: 'a signal ended the process before its work was done' },
} as const

export type ExitCode = keyof typeof exitCodes

/** The exit status of a code. */
export const exitStatusOf = (code: ExitCode): number => exitCodes[code].status
