import { compileLibrary } from './compilation.ts'

/** Compiles the recorder into `dir` and gives the library's path; null where it cannot be. */
export const compileRecorder = (dir: string) => compileLibrary('recorder.c', dir)

/** What a process must have in its environment to be recorded: which files, and into what log. */
export const recorderEnv = (library: string, recording: { dir: string; log: string }) => ({
  LD_PRELOAD: library,
  SLUICE_RECORD_DIR: recording.dir,
  SLUICE_RECORD_LOG: recording.log,
})
