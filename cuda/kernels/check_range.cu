// Checks that ids, labels or positions are valid row indices: the first row whose value is neither
// in [0, limit) nor `ignore` becomes the context's failure, unless there is one already. Kernels
// that index by them run after this and do nothing on a failure, so the host need not wait for the
// answer.
//
// One block: some thousand values of 4 bytes cost nothing next to the launch.
#include <climits>

#include "kernels/entries.h"
#include "runtime/launch.h"

namespace {

constexpr int kThreads = 1024;
constexpr int kShared = kThreads / 32 * sizeof(int);

// Returns the minimum over the lanes, in all of them.
__device__ __forceinline__ int lanes_min(int x) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) x = min(x, __shfl_xor_sync(0xffffffffu, x, i));
  return x;
}

__global__ void __launch_bounds__(kThreads)
    check_values(const int32_t* values, int n, int limit, int ignore, int check, Failure* failure) {
  int first = INT_MAX;
  for (int i = threadIdx.x; i < n && first == INT_MAX; i += kThreads) {
    int v = values[i];
    if ((v < 0 || v >= limit) && (ignore == -1 || v != ignore)) first = i;
  }
  int* shared = shared_memory<int>();
  first = lanes_min(first);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = first;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  first = lanes_min(shared[threadIdx.x]);
  if (threadIdx.x == 0 && first != INT_MAX && failure->check == 0) {
    failure->row = first;
    failure->value = values[first];
    failure->limit = limit;
    failure->check = check;
  }
}
REGISTER_KERNEL(check_values, kThreads, kShared);

}  // namespace

int check_range(qlora_context* c, const qlora_check_range* op) {
  int64_t n = op->values.rows * op->values.cols;
  if (n == 0) return QLORA_OK;
  return launch(c, "check_values", check_values, dim3(1), dim3(kThreads), kShared,
                static_cast<const int32_t*>(op->values.data), n, op->limit, op->ignore,
                check_number(c, op->text), failure(c));
}
