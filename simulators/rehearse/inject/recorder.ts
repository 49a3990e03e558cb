import { compileLibrary } from './compilation.ts'

/**
 * Compiles the recorder into `dir`. Returns its path; null without a C compiler or Linux (see
 * compileLibrary).
 */
export const compileRecorder = (dir: string) => compileLibrary('recorder.c', dir)

/** The environment variables of a recorded process: the recorded folder, and the log file. */
export const recorderEnv = (library: string, recording: { dir: string; log: string }) => ({
  LD_PRELOAD: library,
  SLUICE_RECORD_DIR: recording.dir,
  SLUICE_RECORD_LOG: recording.log,
})
