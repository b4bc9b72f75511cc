// The emulated GPU: its memory, its schedule, and the workers that run blocks.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "emu/block.h"

namespace emu {

class Machine {
 public:
  explicit Machine(int workers);
  ~Machine();

  Memory memory;
  Schedule schedule = 0;
  bool eager = false;
  bool counting = false;  // of memory accesses

  // Runs every block of a launch. Returns the first fault in block order, or "". counts() are then
  // the launch's, if the machine counts.
  std::string run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                  void (*body)(const void*), const void* arguments, size_t argument_bytes);
  const Counts& counts() const { return counts_; }

 private:
  void work();

  // Blocks run on the machine's own threads with signals blocked: another runtime's handlers must
  // not run on a fiber's stack.
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable begin_, end_;
  uint32_t launches_ = 0;
  const Launch* launch_ = nullptr;
  std::vector<uint64_t> order_;  // of blocks
  size_t next_ = 0, running_ = 0;
  uint64_t failed_block_ = 0;
  std::string error_;
  Counts counts_;
  bool stop_ = false;
};

}  // namespace emu
