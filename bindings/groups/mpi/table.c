#define _GNU_SOURCE
#include "table.h"

#include <dlfcn.h>
#include <stddef.h>

static const char *const names[MPI_FUNCTIONS] = {
    "MPI_Init_thread", "MPI_Finalize",   "MPI_Abort",               "MPI_Comm_rank",    "MPI_Comm_size",
    "MPI_Comm_dup",    "MPI_Comm_free",  "MPI_Get_library_version", "MPI_Error_string", "MPI_Comm_set_errhandler",
    "MPI_Ibarrier",    "MPI_Ibcast",     "MPI_Iallreduce",          "MPI_Iallgather",   "MPI_Ireduce_scatter_block",
    "MPI_Isend",       "MPI_Irecv",      "MPI_Iprobe",              "MPI_Test",         "MPI_Comm_split",
};

// The ABI of a library. MPICH's own has MPI_Abi_get_version, too, and says -1. The function may be
// called before MPI_Init.
static int kind_of(void *library) {
  int major = -1, minor = -1;
  if (dlsym(library, "ompi_mpi_comm_world")) return MPI_KIND_OPEN;
  int (*abi)(int *, int *) = (int (*)(int *, int *))dlsym(library, "MPI_Abi_get_version");
  return abi && !abi(&major, &minor) && major > 0 ? MPI_KIND_STANDARD : MPI_KIND_MPICH;
}

const char *mpi_load(mpi_table *t, const char *path) {
  t->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!t->library) return dlerror();
  for (int i = 0; i < MPI_FUNCTIONS; i++) {
    t->f[i] = dlsym(t->library, names[i]);
    if (!t->f[i]) return names[i];
  }
  t->kind = kind_of(t->library);
  switch (t->kind) {
    case MPI_KIND_STANDARD:  // MPI 5.0, chapter 20: the same numbers in every implementation
      t->world = 0x101;
      t->byte = 0x247;
      t->int64 = 0x258;
      t->sum = 0x21;
      t->errors_return = 0x143;
      t->serialized = 2048;
      t->in_place = (void *)1;
      t->status_ignore = NULL;
      break;
    case MPI_KIND_OPEN:  // handles are addresses of the library's objects
      t->world = (mpi_handle)dlsym(t->library, "ompi_mpi_comm_world");
      t->byte = (mpi_handle)dlsym(t->library, "ompi_mpi_byte");
      t->int64 = (mpi_handle)dlsym(t->library, "ompi_mpi_int64_t");
      t->sum = (mpi_handle)dlsym(t->library, "ompi_mpi_op_sum");
      t->errors_return = (mpi_handle)dlsym(t->library, "ompi_mpi_errors_return");
      if (!t->byte || !t->int64 || !t->sum || !t->errors_return) return "the objects of Open MPI's handles";
      t->serialized = 2;
      t->in_place = (void *)1;
      t->status_ignore = NULL;
      break;
    default:  // https://www.mpich.org/abi/: the same numbers since MPICH 3.1
      t->narrow = 1;
      t->world = 0x44000000;
      t->byte = 0x4c00010d;
      t->int64 = 0x4c00083a;
      t->sum = 0x58000003;
      t->errors_return = 0x54000001;
      t->serialized = 2;
      t->in_place = (void *)-1;
      t->status_ignore = (void *)1;
  }
  return NULL;
}

// A function is called by its own type, with handles as int (N) or as pointers.
#define F(function, ...) ((int (*)(__VA_ARGS__))t->f[function])
#define N(handle) ((int)(handle))
typedef mpi_handle H;

int mpi_init(const mpi_table *t, int *level) {
  return F(MPI_F_INIT, int *, char ***, int, int *)(NULL, NULL, t->serialized, level);
}

int mpi_finalize(const mpi_table *t) { return F(MPI_F_FINALIZE, void)(); }

int mpi_abort(const mpi_table *t, int code) {
  if (t->narrow) return F(MPI_F_ABORT, int, int)(N(t->world), code);
  return F(MPI_F_ABORT, H, int)(t->world, code);
}

int mpi_number(const mpi_table *t, int function, mpi_handle comm, int *value) {
  if (t->narrow) return F(function, int, int *)(N(comm), value);
  return F(function, H, int *)(comm, value);
}

// Where a handle is an int, the library writes the lower half of *copy; the upper is zero.
int mpi_dup(const mpi_table *t, mpi_handle comm, mpi_handle *copy) {
  *copy = 0;
  if (t->narrow) return F(MPI_F_DUP, int, H *)(N(comm), copy);
  return F(MPI_F_DUP, H, H *)(comm, copy);
}

int mpi_split(const mpi_table *t, mpi_handle comm, int color, int key, mpi_handle *part) {
  *part = 0;
  if (t->narrow) return F(MPI_F_SPLIT, int, int, int, H *)(N(comm), color, key, part);
  return F(MPI_F_SPLIT, H, int, int, H *)(comm, color, key, part);
}

int mpi_free(const mpi_table *t, mpi_handle *comm) { return F(MPI_F_FREE, H *)(comm); }

int mpi_version(const mpi_table *t, char *text, int *length) { return F(MPI_F_VERSION, char *, int *)(text, length); }

int mpi_error_string(const mpi_table *t, int status, char *text, int *length) {
  return F(MPI_F_ERROR_STRING, int, char *, int *)(status, text, length);
}

int mpi_return_errors(const mpi_table *t, mpi_handle comm) {
  if (t->narrow) return F(MPI_F_SET_ERRHANDLER, int, int)(N(comm), N(t->errors_return));
  return F(MPI_F_SET_ERRHANDLER, H, H)(comm, t->errors_return);
}

int mpi_barrier(const mpi_table *t, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) return F(MPI_F_IBARRIER, int, H *)(N(comm), request);
  return F(MPI_F_IBARRIER, H, H *)(comm, request);
}

int mpi_broadcast(const mpi_table *t, void *data, int n, int from, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) return F(MPI_F_IBCAST, void *, int, int, int, int, H *)(data, n, N(t->byte), from, N(comm), request);
  return F(MPI_F_IBCAST, void *, int, H, int, H, H *)(data, n, t->byte, from, comm, request);
}

int mpi_sum(const mpi_table *t, void *data, int n, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) {
    return F(MPI_F_IALLREDUCE, void *, void *, int, int, int, int, H *)(t->in_place, data, n, N(t->int64), N(t->sum), N(comm), request);
  }
  return F(MPI_F_IALLREDUCE, void *, void *, int, H, H, H, H *)(t->in_place, data, n, t->int64, t->sum, comm, request);
}

int mpi_sum_parts(const mpi_table *t, void *part, const void *all, int n, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) {
    return F(MPI_F_IREDUCE_SCATTER, const void *, void *, int, int, int, int, H *)(all, part, n, N(t->int64), N(t->sum), N(comm), request);
  }
  return F(MPI_F_IREDUCE_SCATTER, const void *, void *, int, H, H, H, H *)(all, part, n, t->int64, t->sum, comm, request);
}

int mpi_gather(const mpi_table *t, const void *part, void *all, int n, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) {
    return F(MPI_F_IALLGATHER, const void *, int, int, void *, int, int, int, H *)(part, n, N(t->byte), all, n, N(t->byte), N(comm), request);
  }
  return F(MPI_F_IALLGATHER, const void *, int, H, void *, int, H, H, H *)(part, n, t->byte, all, n, t->byte, comm, request);
}

int mpi_send(const mpi_table *t, const void *data, int n, int to, int tag, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) return F(MPI_F_ISEND, const void *, int, int, int, int, int, H *)(data, n, N(t->byte), to, tag, N(comm), request);
  return F(MPI_F_ISEND, const void *, int, H, int, int, H, H *)(data, n, t->byte, to, tag, comm, request);
}

int mpi_receive(const mpi_table *t, void *data, int n, int from, int tag, mpi_handle comm, mpi_handle *request) {
  *request = 0;
  if (t->narrow) return F(MPI_F_IRECV, void *, int, int, int, int, int, H *)(data, n, N(t->byte), from, tag, N(comm), request);
  return F(MPI_F_IRECV, void *, int, H, int, int, H, H *)(data, n, t->byte, from, tag, comm, request);
}

int mpi_probe(const mpi_table *t, int from, int tag, mpi_handle comm, int *there) {
  if (t->narrow) return F(MPI_F_IPROBE, int, int, int, int *, void *)(from, tag, N(comm), there, t->status_ignore);
  return F(MPI_F_IPROBE, int, int, H, int *, void *)(from, tag, comm, there, t->status_ignore);
}

int mpi_test(const mpi_table *t, mpi_handle *request, int *done) {
  return F(MPI_F_TEST, H *, int *, void *)(request, done, t->status_ignore);
}
