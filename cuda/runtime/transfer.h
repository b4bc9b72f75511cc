// What is checked of a transfer on any device.
#pragma once

#include "runtime/context.h"

inline int check_event(qlora_context* c, int32_t event, int32_t least) {
  if (event >= least && event <= QLORA_EVENTS) return QLORA_OK;
  return fail(c, QLORA_UNSUPPORTED, "event %d; there are %d, from 1", event, QLORA_EVENTS);
}
