// The programs that a local Kafka needs: a Java that is new enough and, until its jars are cached,
// Maven. Each way in which a local Kafka can be impossible is one line that ends with its cure.
import { execFile } from 'node:child_process'

const oldestJava = 17
const elsewhere = 'or set kafka.brokers to a Kafka that runs elsewhere'
const javaCure = `install Java ${oldestJava} or newer (Debian: apt install openjdk-17-jre-headless)`
const mavenCure = "install it to fetch Kafka's jars once (Debian: apt install maven)"

/** The programs a local Kafka calls, each a name found in the PATH or a path. */
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

/** Why there is no local Kafka. The message is one line and names the cure. */
export class KafkaProblem extends Error {
  readonly code: KafkaProblemCode
  constructor(code: KafkaProblemCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'KafkaProblem'
    this.code = code
  }
}

/** Promise: null when this Java can run Kafka, else why not. */
export async function findJavaProblem(tools: JavaTools): Promise<KafkaProblem | null> {
  const answer = await answerOf(tools.java, ['-version'])
  if (answer === null) {
    return new KafkaProblem('JAVA_MISSING', `Java is not installed: ${javaCure}, ${elsewhere}`)
  }
  const major = javaMajorVersion(answer)
  if (major !== null && major >= oldestJava) return null
  const found = major === null ? 'a Java of unknown version' : `Java ${major}`
  return new KafkaProblem(
    'JAVA_TOO_OLD',
    `${found} is too old for Kafka: ${javaCure}, ${elsewhere}`,
  )
}

/** Promise: null when Maven runs, else why not. */
export async function findMavenProblem(tools: JavaTools): Promise<KafkaProblem | null> {
  if ((await answerOf(tools.mvn, ['-v'])) !== null) return null
  return new KafkaProblem('MAVEN_MISSING', `Maven is not installed: ${mavenCure}, ${elsewhere}`)
}

/**
 * The major version in the output of `java -version` (8 for "1.8.0_442"), null when none is there.
 */
export function javaMajorVersion(output: string): number | null {
  const found = /version "(?:1\.)?(\d+)/.exec(output)
  return found?.[1] === undefined ? null : Number(found[1])
}

// Both streams, because java prints its version on the second one; null when it does not run.
function answerOf(command: string, args: string[]): Promise<string | null> {
  return new Promise(resolve => {
    execFile(command, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve(error ? null : `${stdout}${stderr}`)
    })
  })
}
