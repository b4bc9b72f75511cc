// The functions of NCCL that ranks need, of a library that is opened at run time.
#ifndef QLORA_NCCL_TABLE_H
#define QLORA_NCCL_TABLE_H

#include <stddef.h>

enum { NCCL_ID_BYTES = 128, NCCL_UINT8 = 1, NCCL_INT64 = 4, NCCL_SUM = 0 };
enum { NCCL_SUCCESS = 0, NCCL_REMOTE_ERROR = 6, NCCL_IN_PROGRESS = 7 };

typedef struct {
  char bytes[NCCL_ID_BYTES];
} nccl_id;  // passed by value

// The first members of ncclConfig_t, as of 2.14; newer libraries accept it.
typedef struct {
  size_t size;
  unsigned magic, version;
  int blocking, reserved;
} nccl_config;

typedef struct {
  void *library;
  int (*version)(int *);
  const char *(*text)(int status);
  const char *(*last)(void *comm);
  int (*unique)(nccl_id *);
  int (*init)(void **comm, int size, nccl_id, int rank, nccl_config *);
  int (*state)(void *comm, int *status);
  int (*abort)(void *comm);
  int (*destroy)(void *comm);
  int (*sum)(const void *from, void *to, size_t count, int type, int op, void *comm, void *stream);
  int (*sum_parts)(const void *all, void *part, size_t count, int type, int op, void *comm, void *stream);
  int (*gather)(const void *part, void *all, size_t count, int type, void *comm, void *stream);
  int (*broadcast)(const void *from, void *to, size_t count, int type, int root, void *comm, void *stream);
} nccl_table;

// Opens the library at path. Returns NULL, or what is wrong with it.
const char *nccl_load(nccl_table *t, const char *path);

// Each returns NCCL's status. Communicators do not block.
int nccl_version(const nccl_table *t, int *version);
const char *nccl_text(const nccl_table *t, int status);
const char *nccl_last(const nccl_table *t, void *comm);
int nccl_unique(const nccl_table *t, void *id);
int nccl_init(const nccl_table *t, void **comm, int size, const void *id, int rank);
int nccl_state(const nccl_table *t, void *comm, int *status);
int nccl_abort(const nccl_table *t, void *comm);
int nccl_destroy(const nccl_table *t, void *comm);
int nccl_sum(const nccl_table *t, void *data, size_t count, void *comm, void *stream);
int nccl_sum_parts(const nccl_table *t, void *part, const void *all, size_t count, void *comm, void *stream);
int nccl_gather(const nccl_table *t, const void *part, void *all, size_t count, void *comm, void *stream);
int nccl_broadcast(const nccl_table *t, void *data, size_t count, int from, void *comm, void *stream);

#endif
