// The calls that -fsanitize=thread inserts before a kernel's loads and stores. They do nothing
// outside kernels (the entry functions are instrumented, too).
#include "emu/block.h"

namespace {

// `code` is the instruction: the kernel's call.
inline void check(const void* address, size_t size, emu::Access kind, const void* code) {
  if (emu::Block* b = emu::current()) b->check(address, size, kind, code);
}

// Ranges are struct copies: each whole word is checked as one access.
inline void check_range(const void* address, size_t size, emu::Access kind, const void* code) {
  const char* p = static_cast<const char*>(address);
  size_t step = size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
  for (size_t i = 0; i < size; i += step) check(p + i, step, kind, code);
}

}  // namespace

extern "C" {

#define CODE __builtin_return_address(0)
#define HOOKS(bytes)                                                                             \
  void __tsan_read##bytes(void* p) { check(p, bytes, emu::Access::read, CODE); }                 \
  void __tsan_write##bytes(void* p) { check(p, bytes, emu::Access::write, CODE); }               \
  void __tsan_read##bytes##_pc(void* p, void*) { check(p, bytes, emu::Access::read, CODE); }     \
  void __tsan_write##bytes##_pc(void* p, void*) { check(p, bytes, emu::Access::write, CODE); }   \
  void __tsan_volatile_read##bytes(void* p) { check(p, bytes, emu::Access::read, CODE); }        \
  void __tsan_volatile_write##bytes(void* p) { check(p, bytes, emu::Access::write, CODE); }      \
  void __tsan_unaligned_read##bytes(void* p) { check_range(p, bytes, emu::Access::read, CODE); } \
  void __tsan_unaligned_write##bytes(void* p) { check_range(p, bytes, emu::Access::write, CODE); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
#undef HOOKS

void __tsan_read_range(void* p, size_t n) { check_range(p, n, emu::Access::read, CODE); }
void __tsan_write_range(void* p, size_t n) { check_range(p, n, emu::Access::write, CODE); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_init() {}
}
