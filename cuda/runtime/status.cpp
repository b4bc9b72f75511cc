#include "runtime/status.h"

#include <cstdio>
#include <cstring>

int Status::fail(int status, const char* format, va_list arguments) {
  char text[1024];
  std::vsnprintf(text, sizeof text, format, arguments);
  sentence = text;
  return status;
}

int Status::report(const Failure& f) {
  int status = QLORA_OK;
  if (f.check > 0 && f.check <= static_cast<int32_t>(checks.size())) {
    char text[512];
    std::snprintf(text, sizeof text, checks[f.check - 1], f.row, f.value, f.limit);
    sentence = text;
    status = QLORA_ERROR;
  }
  checks.clear();
  return status;
}

Status& opening() {
  static thread_local Status status;
  return status;
}

namespace {
const RegisteredKernel* first_kernel = nullptr;
}

RegisteredKernel::RegisteredKernel(const char* name, int threads, int shared_bytes,
                                   const void* function)
    : kernel{name, threads, shared_bytes, function}, next(first_kernel) {
  first_kernel = this;
}

const qlora_kernel* kernel_number(int number) {
  const RegisteredKernel* k = first_kernel;
  for (; k != nullptr && number > 0; number--) k = k->next;
  return k == nullptr ? nullptr : &k->kernel;
}

const qlora_kernel* kernel_named(const char* name) {
  const RegisteredKernel* k = first_kernel;
  while (k != nullptr && std::strcmp(k->kernel.name, name) != 0) k = k->next;
  return k == nullptr ? nullptr : &k->kernel;
}
