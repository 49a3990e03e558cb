/*
 * Records the calls of a process on the files of one directory, in order. A library for LD_PRELOAD,
 * compiled by recorder.ts; its log is parsed by power-cut/recording/recorded-calls.ts.
 *
 * SLUICE_RECORD_DIR is the directory (an absolute path without links). SLUICE_RECORD_LOG is the log
 * file, to which records are appended. A call is recorded after the call has succeeded; a mutex
 * blocks other calls until then. Shared memory (-shm) and lock files are not recorded, because
 * they need not be durable.
 *
 * A record is kind, handle, offset (64 bits; the other numbers have 32), length and zero, then
 * `length` bytes. All numbers are little endian.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 1, WRITTEN, TRUNCATED, SYNCED, RENAMED, UNLINKED };
enum { IS_EMPTIED = 1, IS_DIRECTORY = 2 };
#define MAX_DESCRIPTORS 4096
#define REAL(name) ((__typeof__(&name))real(#name))

struct record {
  uint32_t kind, handle;
  int64_t offset;
  uint32_t length, zero;
};
/* The recorder does not see a close by a bare system call. The inode stored with each handle shows
   whether the descriptor is still the same file. */
static struct { uint32_t handle; dev_t device; ino_t file; } known[MAX_DESCRIPTORS];
static uint32_t lastHandle;
static char directory[PATH_MAX];
static size_t directoryLength;
static int logDescriptor = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) {
  void *function = dlsym(RTLD_NEXT, name);
  if (!function) abort();
  return function;
}

__attribute__((constructor)) static void start(void) {
  const char *dir = getenv("SLUICE_RECORD_DIR"), *log = getenv("SLUICE_RECORD_LOG");
  if (!dir || !log || strlen(dir) >= sizeof directory) return;
  strcpy(directory, dir);
  directoryLength = strlen(dir);
  logDescriptor = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (logDescriptor < 0) abort();
  unsetenv("LD_PRELOAD");
}

/* Appends a record. Aborts when that fails, because a missing record would make the proof worthless. */
static void put(uint32_t kind, uint32_t handle, int64_t offset, const void *bytes, size_t length) {
  struct record head = { kind, handle, offset, (uint32_t)length, 0 };
  struct iovec parts[] = { { &head, sizeof head }, { (void *)bytes, length } };
  if (REAL(writev)(logDescriptor, parts, 2) != (ssize_t)(sizeof head + length)) abort();
}

/* A path below the recorded directory, relative to that directory ("" for the directory itself);
   NULL for any other path. */
static const char *below(const char *path) {
  if (logDescriptor < 0 || strncmp(path, directory, directoryLength) != 0) return NULL;
  size_t length = strlen(path);
  if (strstr(path, ".lock") || (length > 4 && !strcmp(path + length - 4, "-shm"))) return NULL;
  if (path[directoryLength] == '\0') return path + directoryLength;
  return path[directoryLength] == '/' ? path + directoryLength + 1 : NULL;
}

static int opened(int descriptor, int flags) {
  int before = errno;
  char link[32], path[PATH_MAX];
  if (descriptor < 0 || descriptor >= MAX_DESCRIPTORS) return descriptor;
  known[descriptor].handle = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = '\0';
  const char *name = below(path);
  struct stat facts;
  if (name && fstat(descriptor, &facts) == 0) {
    int isEmptied = (flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY ? IS_EMPTIED : 0;
    known[descriptor].handle = ++lastHandle;
    known[descriptor].device = facts.st_dev;
    known[descriptor].file = facts.st_ino;
    put(OPENED, lastHandle, isEmptied | (S_ISDIR(facts.st_mode) ? IS_DIRECTORY : 0), name,
        strlen(name));
  }
  errno = before;
  return descriptor;
}

static uint32_t handleOf(int descriptor) {
  struct stat facts;
  if (descriptor < 0 || descriptor >= MAX_DESCRIPTORS || !known[descriptor].handle) return 0;
  if (fstat(descriptor, &facts) == 0 && facts.st_dev == known[descriptor].device &&
      facts.st_ino == known[descriptor].file)
    return known[descriptor].handle;
  return known[descriptor].handle = 0;
}

static void written(int descriptor, off64_t offset, const struct iovec *parts, int count,
                    ssize_t done) {
  int before = errno;
  uint32_t handle = done > 0 ? handleOf(descriptor) : 0;
  /* A write without an offset, or to an append-only file, began `done` bytes before the current
     position. */
  if (handle && offset < 0) offset = lseek64(descriptor, 0, SEEK_CUR) - done;
  for (int part = 0; handle && part < count && done > 0; part++) {
    size_t length = (size_t)done < parts[part].iov_len ? (size_t)done : parts[part].iov_len;
    put(WRITTEN, handle, offset, parts[part].iov_base, length);
    offset += (off64_t)length;
    done -= (ssize_t)length;
  }
  errno = before;
}

static int done(int descriptor, uint32_t kind, off64_t offset, int result) {
  int before = errno;
  uint32_t handle = result == 0 ? handleOf(descriptor) : 0;
  if (handle) put(kind, handle, offset, NULL, 0);
  errno = before;
  return result;
}

#define ALONE(type, call) \
  pthread_mutex_lock(&mutex); \
  type result = (call); \
  pthread_mutex_unlock(&mutex); \
  return result

#define MODE_AFTER(last) \
  va_list rest; \
  va_start(rest, last); \
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
  va_end(rest)

int open(const char *path, int flags, ...) {
  MODE_AFTER(flags);
  ALONE(int, opened(REAL(open)(path, flags, mode), flags));
}
int open64(const char *path, int flags, ...) {
  MODE_AFTER(flags);
  ALONE(int, opened(REAL(open64)(path, flags, mode), flags));
}
int openat(int at, const char *path, int flags, ...) {
  MODE_AFTER(flags);
  ALONE(int, opened(REAL(openat)(at, path, flags, mode), flags));
}

#define WRITE(name, parameters, arguments, ...) \
  ssize_t name parameters { \
    pthread_mutex_lock(&mutex); \
    ssize_t length = REAL(name) arguments; \
    written(descriptor, __VA_ARGS__, length); \
    pthread_mutex_unlock(&mutex); \
    return length; \
  }
#define ONE_PART &(struct iovec){ (void *)bytes, size }, 1

WRITE(write, (int descriptor, const void *bytes, size_t size),
      (descriptor, bytes, size), -1, ONE_PART)
WRITE(pwrite, (int descriptor, const void *bytes, size_t size, off_t offset),
      (descriptor, bytes, size, offset), offset, ONE_PART)
WRITE(pwrite64, (int descriptor, const void *bytes, size_t size, off64_t offset),
      (descriptor, bytes, size, offset), offset, ONE_PART)
WRITE(writev, (int descriptor, const struct iovec *parts, int count),
      (descriptor, parts, count), -1, parts, count)
WRITE(pwritev, (int descriptor, const struct iovec *parts, int count, off_t offset),
      (descriptor, parts, count, offset), offset, parts, count)
WRITE(pwritev64, (int descriptor, const struct iovec *parts, int count, off64_t offset),
      (descriptor, parts, count, offset), offset, parts, count)

int ftruncate(int descriptor, off_t size) {
  ALONE(int, done(descriptor, TRUNCATED, size, REAL(ftruncate)(descriptor, size)));
}
int ftruncate64(int descriptor, off64_t size) {
  ALONE(int, done(descriptor, TRUNCATED, size, REAL(ftruncate64)(descriptor, size)));
}
int fsync(int descriptor) {
  ALONE(int, done(descriptor, SYNCED, 0, REAL(fsync)(descriptor)));
}
int fdatasync(int descriptor) {
  ALONE(int, done(descriptor, SYNCED, 0, REAL(fdatasync)(descriptor)));
}

static const char *resolved(const char *path, char *into) {
  char *parent = strdup(path), *slash = parent ? strrchr(parent, '/') : NULL;
  const char *name = NULL;
  if (slash) {
    *slash = '\0';
    if (realpath(slash == parent ? "/" : parent, into)) {
      strncat(into, path + (slash - parent), PATH_MAX - strlen(into) - 1);
      name = below(into);
    }
  }
  free(parent);
  return name;
}

#define REMOVE(name, parameters, arguments) \
  int name parameters { \
    char full[PATH_MAX]; \
    const char *below = resolved(path, full); \
    pthread_mutex_lock(&mutex); \
    int result = REAL(name) arguments; \
    if (result == 0 && below) put(UNLINKED, 0, 0, below, strlen(below)); \
    pthread_mutex_unlock(&mutex); \
    return result; \
  }

REMOVE(unlink, (const char *path), (path))
REMOVE(remove, (const char *path), (path))

int rename(const char *from, const char *to) {
  char fromFull[PATH_MAX], toFull[PATH_MAX], both[2 * PATH_MAX];
  const char *fromName = resolved(from, fromFull), *toName = resolved(to, toFull);
  pthread_mutex_lock(&mutex);
  int result = REAL(rename)(from, to);
  if (result == 0 && fromName && toName) {
    size_t length = (size_t)snprintf(both, sizeof both, "%s%c%s", fromName, 0, toName);
    put(RENAMED, 0, 0, both, length);
  }
  pthread_mutex_unlock(&mutex);
  return result;
}
