// Copies between device memory and the host's, or from other devices, on another stream, as late as a
// GPU may carry them out: when their event is awaited. Whoever did not wait sees poison, or is told.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "emu/memory.h"

namespace emu {

class Transfers {
 public:
  // what names a copy to the device in messages: "a transfer from the host".
  explicit Transfers(std::string what) : what_(std::move(what)) {}

  void enqueue(void* dst, const void* src, size_t bytes, bool to_host, int event);
  // Enqueues a copy to the device of bytes that came from elsewhere.
  void arrive(void* dst, std::string bytes, int event);
  // Carries out the last copy with the event and those before it. Returns what a program did to the
  // copies carried out so far before it awaited them, or "".
  std::string await(int event);
  // Carries out all copies, for memory that is about to be freed.
  void finish() { queue_.clear(); }

  // Returns what is wrong with work that accesses the bytes now, or "".
  std::string conflict(const void* data, size_t bytes, bool writes) const;
  // The same for kernels that access the memory that it is restricted to.
  std::string conflict(const Memory& memory) const;

 private:
  struct Copy {
    char* dst;
    const char* src;  // null: the source
    size_t bytes;
    bool to_host;
    int event;
    std::string source;  // to the host the bytes of src when the copy was enqueued; or what came
  };
  void carry_out(size_t copies);

  std::string what_;
  std::vector<Copy> queue_;
  std::string wrong_;
};

}  // namespace emu
