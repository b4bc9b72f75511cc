// The functions of MPI that ranks need, of a library that is opened at run time. There are three
// ABIs with the same names: they differ in the type and values of handles and in a few numbers.
#ifndef QLORA_MPI_TABLE_H
#define QLORA_MPI_TABLE_H

#include <stdint.h>

typedef uintptr_t mpi_handle;  // of any ABI: a pointer, or MPICH's int

enum { MPI_KIND_STANDARD = 1, MPI_KIND_OPEN, MPI_KIND_MPICH };

enum {
  MPI_F_INIT,
  MPI_F_FINALIZE,
  MPI_F_ABORT,
  MPI_F_RANK,
  MPI_F_SIZE,
  MPI_F_DUP,
  MPI_F_FREE,
  MPI_F_VERSION,
  MPI_F_ERROR_STRING,
  MPI_F_SET_ERRHANDLER,
  MPI_F_IBARRIER,
  MPI_F_IBCAST,
  MPI_F_IALLREDUCE,
  MPI_F_IALLGATHER,
  MPI_F_IREDUCE_SCATTER,
  MPI_F_ISEND,
  MPI_F_IRECV,
  MPI_F_IPROBE,
  MPI_F_TEST,
  MPI_F_SPLIT,
  MPI_FUNCTIONS
};

typedef struct {
  void *library, *f[MPI_FUNCTIONS];
  int kind;
  int narrow;  // handles are int
  mpi_handle world, byte, int64, sum, errors_return;
  int serialized;  // MPI_THREAD_SERIALIZED
  void *in_place, *status_ignore;
} mpi_table;

// Opens the library at path. Returns NULL, or what is wrong with it.
const char *mpi_load(mpi_table *t, const char *path);

// Each returns MPI's status.
int mpi_init(const mpi_table *t, int *level);
int mpi_finalize(const mpi_table *t);
int mpi_abort(const mpi_table *t, int code);
int mpi_number(const mpi_table *t, int function, mpi_handle comm, int *value);
int mpi_dup(const mpi_table *t, mpi_handle comm, mpi_handle *copy);
int mpi_split(const mpi_table *t, mpi_handle comm, int color, int key, mpi_handle *part);
int mpi_free(const mpi_table *t, mpi_handle *comm);
int mpi_version(const mpi_table *t, char *text, int *length);
int mpi_error_string(const mpi_table *t, int status, char *text, int *length);
int mpi_return_errors(const mpi_table *t, mpi_handle comm);

// These start a call of bytes or, mpi_sum and mpi_sum_parts, of int64; request is tested until it is done.
int mpi_barrier(const mpi_table *t, mpi_handle comm, mpi_handle *request);
int mpi_broadcast(const mpi_table *t, void *data, int n, int from, mpi_handle comm, mpi_handle *request);
int mpi_sum(const mpi_table *t, void *data, int n, mpi_handle comm, mpi_handle *request);
int mpi_sum_parts(const mpi_table *t, void *part, const void *all, int n, mpi_handle comm, mpi_handle *request);
int mpi_gather(const mpi_table *t, const void *part, void *all, int n, mpi_handle comm, mpi_handle *request);
int mpi_send(const mpi_table *t, const void *data, int n, int to, int tag, mpi_handle comm, mpi_handle *request);
int mpi_receive(const mpi_table *t, void *data, int n, int from, int tag, mpi_handle comm, mpi_handle *request);
int mpi_probe(const mpi_table *t, int from, int tag, mpi_handle comm, int *there);
int mpi_test(const mpi_table *t, mpi_handle *request, int *done);

// Go needs its own handlers of SIGSEGV and others, but libraries install theirs when they are
// loaded and when MPI starts. These keep and put back the handlers of all signals; the latter
// returns those that had changed, bit s-1 for signal s.
void mpi_keep_signals(void);
uint64_t mpi_put_signals_back(void);

#endif
