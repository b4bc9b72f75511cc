// The function table for Go. kernels/entries.h declares every kernel's entry function.
#include "kernels/entries.h"
#include "runtime/device.h"

namespace {

const qlora_api& table() {
  static const qlora_api api = {
      QLORA_ABI,
      kernels_build(),
      device_open,
      device_close,
      device_error,
      device_info,
      device_allocate,
      device_release,
      device_write,
      device_read,
      device_zero,
      device_move,
      device_sync,
      device_mark,
      device_elapsed,
      device_stream,
      device_allocate_host,
      device_release_host,
      device_transfer,
      device_await,
      device_aside,
      device_fetch,
      device_arriving,
      device_capture,
      device_captured,
      device_replay,
      device_drop,
      device_extents,
      device_schedule,
      kernel_number,
      device_counts,
      gemm,
      gemm_parts,
      gemv,
      pull_parts,
      decode,
      decode_parts,
      quantize,
      nest,
      row_norms,
      check_range,
      embed,
      embed_backward,
      norm,
      norm_backward,
      rope,
      extend,
      activate,
      activate_backward,
      add,
      clamp,
      attend,
      attend_decode,
      attend_backward,
      cross_entropy,
      loss_stats,
      log_probs,
      preference,
      policy,
      scale_columns,
      sum_rows,
      scale_rows,
      gather,
      copy,
      fixed_point,
      grad_norm,
      optimize,
  };
  return api;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const qlora_api* qlora_get_api(uint32_t abi) {
  return abi == QLORA_ABI ? &table() : nullptr;
}
