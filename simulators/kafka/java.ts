// The programs that a local Kafka needs: a new enough Java and, until the jars are in the cache,
// Maven. Each reason why no local Kafka can run is one line that contains its cure.
import { execFile } from 'node:child_process'

const OLDEST_JAVA = 17
const OR_REMOTE_KAFKA = 'or set kafka.brokers to a Kafka that runs elsewhere'
const JAVA_PACKAGE = 'openjdk-17-jre-headless'
const JAVA_CURE = `install Java ${OLDEST_JAVA} or newer (Debian: apt install ${JAVA_PACKAGE})`
const MAVEN_CURE = "install it to fetch Kafka's jars once (Debian: apt install maven)"

/** The programs of a local Kafka. Each is a path, or a name that is searched in the PATH. */
export type JavaTools = { java: string; mvn: string }
export const toolsInPath: JavaTools = { java: 'java', mvn: 'mvn' }

export type KafkaProblemCode =
  | 'JAVA_MISSING'
  | 'JAVA_TOO_OLD'
  | 'MAVEN_MISSING'
  | 'FETCH_FAILED'
  | 'PORT_TAKEN'
  | 'FOLDER_TAKEN'
  | 'NOT_READY'

/** The reason why there is no local Kafka. The message is one line and names the cure. */
export class KafkaProblem extends Error {
  readonly code: KafkaProblemCode
  constructor(code: KafkaProblemCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'KafkaProblem'
    this.code = code
  }
}

/** Returns null when the installed Java can run Kafka, otherwise the problem. */
export async function findJavaProblem(tools: JavaTools): Promise<KafkaProblem | null> {
  const output = await outputOf(tools.java, ['-version'])
  if (output === null) {
    return new KafkaProblem(
      'JAVA_MISSING',
      `Java is not installed: ${JAVA_CURE}, ${OR_REMOTE_KAFKA}`,
    )
  }
  const major = javaMajorVersion(output)
  if (major !== null && major >= OLDEST_JAVA) return null
  const found = major === null ? 'a Java of unknown version' : `Java ${major}`
  return new KafkaProblem(
    'JAVA_TOO_OLD',
    `${found} is too old for Kafka: ${JAVA_CURE}, ${OR_REMOTE_KAFKA}`,
  )
}

/** Returns null when Maven runs, otherwise the problem. */
export async function findMavenProblem(tools: JavaTools): Promise<KafkaProblem | null> {
  if ((await outputOf(tools.mvn, ['-v'])) !== null) return null
  return new KafkaProblem(
    'MAVEN_MISSING',
    `Maven is not installed: ${MAVEN_CURE}, ${OR_REMOTE_KAFKA}`,
  )
}

/**
 * The major version in the output of `java -version` (8 for "1.8.0_442"); null when the output
 * contains no version.
 */
export function javaMajorVersion(output: string): number | null {
  const found = /version "(?:1\.)?(\d+)/.exec(output)
  return found?.[1] === undefined ? null : Number(found[1])
}

// Returns what the command prints to standard output and standard error (java prints its version
// there); null when the command fails.
function outputOf(command: string, args: string[]): Promise<string | null> {
  return new Promise(resolve => {
    execFile(command, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve(error ? null : `${stdout}${stderr}`)
    })
  })
}
