// A libnccl.so for machines without a GPU, for tests: NCCL's interface for the memory of one host.
// It is stricter than NCCL. Ranks that call different things, which hang on a GPU, get an error,
// and sums are added in an order of their own for each element, so that nobody counts on one.
//
// Communicators do not block: a call returns ncclInProgress, and is complete when
// ncclCommGetAsyncError says so. A second call before that is an error.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  char internal[128];
} ncclUniqueId;

typedef enum {
  ncclSuccess,
  ncclUnhandledCudaError,
  ncclSystemError,
  ncclInternalError,
  ncclInvalidArgument,
  ncclInvalidUsage,
  ncclRemoteError,
  ncclInProgress
} ncclResult_t;

typedef struct {
  size_t size;
  unsigned magic, version;
  int blocking;
} ncclConfig_t;

enum { MAGIC = 0xcafebeef, UINT8 = 1, INT64 = 4, RANKS = 64, WINDOW = 1 << 18 };
enum { JOIN, SUM, SUM_PARTS, GATHER, BROADCAST };

// What every rank must call alike.
typedef struct {
  uint32_t kind, type, root;
  uint64_t count;
} call;

// The memory that all ranks share.
typedef struct {
  _Atomic uint32_t joined, arrived[2], broken;
  call calls[RANKS];
  char data[][WINDOW];
} board;

typedef struct comm {
  board *board;
  size_t bytes;
  int rank, size, phase;
  _Atomic int state;    // an ncclResult_t
  _Atomic int aborted;  // by this rank
  pthread_t thread;
  int started;  // the thread has to be joined
  call now;
  const void *from;
  void *to;
  char name[128], last[128];
} comm;

static ncclResult_t fail(comm *c, ncclResult_t e, const char *text) {
  if (c) {
    snprintf(c->last, sizeof c->last, "ncclemu: %s", text);
    c->board->broken = 1;
  }
  return e;
}

static size_t width(int type) { return type == INT64 ? 8 : 1; }

// Counters for arrivals are used in turn, so that a barrier can follow at once.
static ncclResult_t barrier(comm *c) {
  _Atomic uint32_t *a = &c->board->arrived[c->phase];
  c->phase ^= 1;
  if (atomic_fetch_add(a, 1) + 1 == (uint32_t)c->size) {
    c->board->arrived[c->phase] = 0;
    atomic_fetch_add(a, 1u << 16);
    return ncclSuccess;
  }
  while (!(*a >> 16)) {
    if (c->board->broken || c->aborted) return fail(c, ncclRemoteError, "another rank has failed");
    usleep(20);
  }
  return ncclSuccess;
}

static ncclResult_t agree(comm *c) {
  c->board->calls[c->rank] = c->now;
  ncclResult_t e = barrier(c);
  for (int r = 0; !e && r < c->size; r++) {
    const call *k = &c->board->calls[r];
    if (k->kind != c->now.kind || k->type != c->now.type || k->root != c->now.root || k->count != c->now.count)
      return fail(c, ncclInvalidUsage, "the ranks call different operations, which hang on a GPU");
  }
  return e ? e : barrier(c);
}

static void add(comm *c, int64_t *to, size_t at, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint64_t s = 0;
    for (int k = 0; k < c->size; k++) s += ((uint64_t *)c->board->data[(at + i + k) % c->size])[i];
    to[i] = (int64_t)s;
  }
}

// Adds the parts of one rank after the other on the board.
static ncclResult_t sum_parts(comm *c) {
  size_t total = c->now.count * 8;
  for (int to = 0; to < c->size; to++) {
    for (size_t at = 0; at < total; at += WINDOW) {
      size_t n = total - at < WINDOW ? total - at : WINDOW;
      memcpy(c->board->data[c->rank], (const char *)c->from + to * total + at, n);
      ncclResult_t e = barrier(c);
      if (!e && c->rank == to) add(c, (int64_t *)((char *)c->to + at), at / 8, n / 8);
      if (e || (e = barrier(c))) return e;
    }
  }
  return ncclSuccess;
}

// Moves the operands through the board, a window at a time.
static ncclResult_t move(comm *c) {
  size_t w = width(c->now.type), total = c->now.count * w;
  ncclResult_t e = agree(c);
  if (!e && c->now.kind == SUM_PARTS) return sum_parts(c);
  for (size_t at = 0; !e && at < total; at += WINDOW) {
    size_t n = total - at < WINDOW ? total - at : WINDOW;
    if (c->now.kind != BROADCAST || c->rank == (int)c->now.root)
      memcpy(c->board->data[c->rank], (const char *)c->from + at, n);
    if ((e = barrier(c))) break;
    switch (c->now.kind) {
      case SUM: add(c, (int64_t *)((char *)c->to + at), at / w, n / w); break;
      case GATHER:
        for (int r = 0; r < c->size; r++) memcpy((char *)c->to + r * total + at, c->board->data[r], n);
        break;
      case BROADCAST: memcpy((char *)c->to + at, c->board->data[c->now.root], n); break;
    }
    e = barrier(c);
  }
  return e;
}

static ncclResult_t join(comm *c) {
  atomic_fetch_add(&c->board->joined, 1);
  while (c->board->joined < (uint32_t)c->size) {
    if (c->aborted) return fail(c, ncclRemoteError, "the communicator was aborted");
    usleep(100);
  }
  ncclResult_t e = barrier(c);
  shm_unlink(c->name);
  return e;
}

static void *run(void *argument) {
  comm *c = argument;
  c->state = c->now.kind == JOIN ? join(c) : move(c);
  return NULL;
}

static ncclResult_t start(comm *c, call now, const void *from, void *to) {
  if (c->state != ncclSuccess) return fail(c, ncclInvalidUsage, "the former call is not complete");
  if (c->started) pthread_join(c->thread, NULL);
  c->now = now;
  c->from = from;
  c->to = to;
  c->state = ncclInProgress;
  c->started = !pthread_create(&c->thread, NULL, run, c);
  return c->started ? ncclInProgress : fail(c, ncclSystemError, "no thread");
}

ncclResult_t ncclGetVersion(int *v) {
  *v = 22707;
  return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t e) {
  static const char *const text[] = {"no error",
                                     "unhandled cuda error",
                                     "unhandled system error",
                                     "internal error",
                                     "invalid argument",
                                     "invalid usage",
                                     "remote process exited or there was a network error",
                                     "in progress"};
  return text[e];
}

const char *ncclGetLastError(comm *c) { return c ? c->last : ""; }

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  memset(id, 0, sizeof *id);
  snprintf(id->internal, sizeof id->internal, "/ncclemu-%d-%llx", getpid(),
           (unsigned long long)t.tv_sec * 1000000000 + t.tv_nsec);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(comm **out, int size, ncclUniqueId id, int rank, ncclConfig_t *config) {
  if (size < 1 || size > RANKS || rank < 0 || rank >= size) return ncclInvalidArgument;
  if (config->magic != MAGIC || config->size < 20 || config->blocking)
    return ncclInvalidArgument;
  size_t bytes = sizeof(board) + (size_t)size * WINDOW;
  int fd = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, bytes)) return ncclSystemError;
  comm *c = calloc(1, sizeof *c);
  c->board = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  c->bytes = bytes;
  c->rank = rank;
  c->size = size;
  memcpy(c->name, id.internal, sizeof c->name);
  *out = c;
  return start(c, (call){.kind = JOIN}, NULL, NULL);
}

ncclResult_t ncclCommGetAsyncError(comm *c, ncclResult_t *e) {
  *e = c->state;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(comm *c) {
  if (c->started) pthread_join(c->thread, NULL);
  munmap(c->board, c->bytes);
  free(c);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(comm *c) {
  c->aborted = 1;
  c->board->broken = 1;
  shm_unlink(c->name);
  return ncclCommDestroy(c);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, int type, int op, comm *c, void *stream) {
  (void)stream;
  if (op != 0 || type != INT64) return fail(c, ncclInvalidArgument, "only sums of int64");
  return start(c, (call){.kind = SUM, .type = type, .count = count}, from, to);
}

ncclResult_t ncclReduceScatter(const void *from, void *to, size_t count, int type, int op, comm *c, void *stream) {
  (void)stream;
  if (op != 0 || type != INT64) return fail(c, ncclInvalidArgument, "only sums of int64");
  return start(c, (call){.kind = SUM_PARTS, .type = type, .count = count}, from, to);
}

ncclResult_t ncclAllGather(const void *from, void *to, size_t count, int type, comm *c, void *stream) {
  (void)stream;
  if (type != UINT8) return fail(c, ncclInvalidArgument, "only bytes");
  return start(c, (call){.kind = GATHER, .type = type, .count = count}, from, to);
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, int type, int root, comm *c, void *stream) {
  (void)stream;
  if (type != UINT8) return fail(c, ncclInvalidArgument, "only bytes");
  return start(c, (call){.kind = BROADCAST, .type = type, .root = root, .count = count}, from, to);
}
