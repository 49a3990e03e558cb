// Injects faults into the process that preloads this library before libc. The faults are in a
// control file that is mapped into memory, so that a change of the file takes effect at once.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int32_t writeErrno; // error of pwrite, with which SQLite writes, unlike the log
  volatile int32_t syncErrno;  // error of fsync and fdatasync
  volatile int64_t clockShiftSeconds;
  volatile int32_t syncDelayMs; // wait before each fsync and fdatasync
};

static struct control none;
static struct control *control = &none;

__attribute__((constructor)) static void open_control(void) {
  const char *path = getenv("REHEARSAL_CONTROL");
  int file = path ? open(path, O_RDWR) : -1;
  if (file < 0) return;
  void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) control = map;
  close(file);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define FAIL_WITH(error) \
  if (error) { \
    errno = error; \
    return -1; \
  }

static void delay(int ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
  if (ms) nanosleep(&pause, NULL);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  REAL(pwrite);
  FAIL_WITH(control->writeErrno);
  return real(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  REAL(pwrite64);
  FAIL_WITH(control->writeErrno);
  return real(fd, bytes, count, at);
}

int fsync(int fd) {
  REAL(fsync);
  FAIL_WITH(control->syncErrno);
  delay(control->syncDelayMs);
  return real(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  FAIL_WITH(control->syncErrno);
  delay(control->syncDelayMs);
  return real(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int failed = real(clock, now);
  if (!failed && clock == CLOCK_REALTIME) now->tv_sec += control->clockShiftSeconds;
  return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
  REAL(gettimeofday);
  int failed = real(now, zone);
  if (!failed) now->tv_sec += control->clockShiftSeconds;
  return failed;
}
