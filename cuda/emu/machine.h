// The emulated GPU: its memory, how it schedules, and the workers that run blocks.
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

  // Runs every block of a launch; the first fault in the order of blocks, or "".
  std::string run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                  void (*body)(const void*), const void* arguments, size_t argument_bytes);

 private:
  void work();

  // Blocks run on threads of the machine's own, which take no signals: a fiber's stack is no
  // place for another runtime's handlers.
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable begin_, end_;
  uint32_t launches_ = 0;
  const Launch* launch_ = nullptr;
  std::vector<uint64_t> order_;  // of blocks
  size_t next_ = 0, running_ = 0;
  uint64_t failed_block_ = 0;
  std::string error_;
  bool stop_ = false;
};

}  // namespace emu
