// Stands in for kernels that are not written yet; each goes when its own file comes.
#include "kernels/entries.h"
#include "runtime/context.h"

#define MISSING(name)                                                          \
  __attribute__((weak)) int name(qlora_context* c, const qlora_##name*) {      \
    return fail(c, QLORA_UNSUPPORTED, #name ": this kernel is not there yet"); \
  }

MISSING(gemv)
MISSING(row_norms)
