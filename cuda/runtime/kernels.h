// The registered kernels, and a context's record of them: the variant it prefers, and how often each
// was launched.
#pragma once

#include <string>
#include <vector>

#include "runtime/context.h"

// The kernel of that name, or of that address, or nullptr.
const RegisteredKernel* kernel_named(const char* name);
const RegisteredKernel* kernel_at(const void* function);

class Kernels {
 public:
  // Returns false if no kernel's name contains the variant. NULL or "" prefers none.
  bool prefer(const char* variant);
  const char* variant() const { return variant_.c_str(); }
  bool prefers(const char* kind) const { return variant_ == kind; }

  // Counts a launch, and returns the kernel's counts.
  qlora_counts* launched(const RegisteredKernel& k);
  // Returns false if there is no kernel of that number.
  bool counts(int number, qlora_counts* to) const;

 private:
  std::string variant_;
  std::vector<qlora_counts> counts_;  // by number, of kernels launched so far and those between
};
