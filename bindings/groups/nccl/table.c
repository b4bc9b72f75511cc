#include "table.h"

#include <dlfcn.h>
#include <string.h>

const char *nccl_load(nccl_table *t, const char *path) {
  t->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!t->library) return dlerror();
  const struct {
    const char *name;
    void *function;
  } table[] = {
      {"ncclGetVersion", &t->version},
      {"ncclGetErrorString", &t->text},
      {"ncclGetLastError", &t->last},
      {"ncclGetUniqueId", &t->unique},
      {"ncclCommInitRankConfig", &t->init},
      {"ncclCommGetAsyncError", &t->state},
      {"ncclCommAbort", &t->abort},
      {"ncclCommDestroy", &t->destroy},
      {"ncclAllReduce", &t->sum},
      {"ncclReduceScatter", &t->sum_parts},
      {"ncclAllGather", &t->gather},
      {"ncclBroadcast", &t->broadcast},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    void *symbol = dlsym(t->library, table[i].name);
    if (!symbol) return table[i].name;
    memcpy(table[i].function, &symbol, sizeof symbol);
  }
  return NULL;
}

int nccl_version(const nccl_table *t, int *version) { return t->version(version); }
const char *nccl_text(const nccl_table *t, int status) { return t->text(status); }
const char *nccl_last(const nccl_table *t, void *comm) { return t->last(comm); }
int nccl_unique(const nccl_table *t, void *id) { return t->unique(id); }

int nccl_init(const nccl_table *t, void **comm, int size, const void *id, int rank) {
  nccl_config config = {.size = sizeof config, .magic = 0xcafebeef, .version = 21400, .blocking = 0};
  nccl_id by_value;
  memcpy(&by_value, id, sizeof by_value);
  return t->init(comm, size, by_value, rank, &config);
}

int nccl_state(const nccl_table *t, void *comm, int *status) { return t->state(comm, status); }
int nccl_abort(const nccl_table *t, void *comm) { return t->abort(comm); }
int nccl_destroy(const nccl_table *t, void *comm) { return t->destroy(comm); }

int nccl_sum(const nccl_table *t, void *data, size_t count, void *comm, void *stream) {
  return t->sum(data, data, count, NCCL_INT64, NCCL_SUM, comm, stream);
}

int nccl_sum_parts(const nccl_table *t, void *part, const void *all, size_t count, void *comm, void *stream) {
  return t->sum_parts(all, part, count, NCCL_INT64, NCCL_SUM, comm, stream);
}

int nccl_gather(const nccl_table *t, const void *part, void *all, size_t count, void *comm, void *stream) {
  return t->gather(part, all, count, NCCL_UINT8, comm, stream);
}

int nccl_broadcast(const nccl_table *t, void *data, size_t count, int from, void *comm, void *stream) {
  return t->broadcast(data, data, count, NCCL_UINT8, from, comm, stream);
}
