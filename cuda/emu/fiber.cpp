#include "emu/fiber.h"

#if defined(__x86_64__)

// The callee-saved registers of the System V ABI; floating-point control words are unchanged.
extern "C" void emu_switch(void** from, void* to);
__asm__(R"(
.text
.globl emu_switch
.hidden emu_switch
.type emu_switch,@function
emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emu_switch,.-emu_switch
)");

namespace emu {

void* new_fiber(char* stack, size_t bytes, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + bytes);
  *--top = nullptr;  // keeps the stack aligned to 16 bytes at entry
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  return top;
}

void switch_to(void** from, void* to) { emu_switch(from, to); }

}  // namespace emu

#else

// Any other processor: correct, but each switch is a system call.
#include <ucontext.h>

#include <new>

namespace emu {

namespace {
thread_local ucontext_t main_context;
}

void* new_fiber(char* stack, size_t bytes, void (*entry)()) {
  auto* context = new (stack) ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack + sizeof(ucontext_t);
  context->uc_stack.ss_size = bytes - sizeof(ucontext_t);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void switch_to(void** from, void* to) {
  // A fiber's context is on its stack; the scheduler's is thread-local.
  auto* here = *from == nullptr ? &main_context : static_cast<ucontext_t*>(*from);
  *from = here;
  swapcontext(here, static_cast<ucontext_t*>(to));
}

}  // namespace emu

#endif
