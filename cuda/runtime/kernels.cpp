#include "runtime/kernels.h"

#include <cstring>
#include <unordered_map>

namespace {
const RegisteredKernel* last_kernel = nullptr;
}

RegisteredKernel::RegisteredKernel(const char* name, int threads, int shared_bytes,
                                   const void* function)
    : kernel{name, threads, shared_bytes, function},
      number(last_kernel == nullptr ? 0 : last_kernel->number + 1),
      next(last_kernel) {
  last_kernel = this;
}

const qlora_kernel* kernel_number(int number) {
  const RegisteredKernel* k = last_kernel;
  while (k != nullptr && k->number != number) k = k->next;
  return k == nullptr ? nullptr : &k->kernel;
}

const RegisteredKernel* kernel_named(const char* name) {
  const RegisteredKernel* k = last_kernel;
  while (k != nullptr && std::strcmp(k->kernel.name, name) != 0) k = k->next;
  return k;
}

const RegisteredKernel* kernel_at(const void* function) {
  static const std::unordered_map<const void*, const RegisteredKernel*> all = [] {
    std::unordered_map<const void*, const RegisteredKernel*> all;
    for (auto* k = last_kernel; k != nullptr; k = k->next) all[k->kernel.function] = k;
    return all;
  }();
  auto found = all.find(function);
  return found == all.end() ? nullptr : found->second;
}

bool Kernels::prefer(const char* variant) {
  variant_ = variant == nullptr ? "" : variant;
  for (auto* k = last_kernel; k != nullptr; k = k->next) {
    if (std::strstr(k->kernel.name, variant_.c_str()) != nullptr) return true;
  }
  return false;
}

qlora_counts* Kernels::launched(const RegisteredKernel& k) {
  auto number = static_cast<size_t>(k.number);
  if (counts_.size() <= number) counts_.resize(number + 1);
  counts_[number].launches++;
  return &counts_[number];
}

bool Kernels::counts(int number, qlora_counts* to) const {
  *to = {};
  if (kernel_number(number) == nullptr) return false;
  if (static_cast<size_t>(number) < counts_.size()) *to = counts_[static_cast<size_t>(number)];
  return true;
}
