// A running block: one fiber per thread, all on one OS thread.
#pragma once

#include <cstdarg>
#include <random>
#include <string>
#include <vector>

#include "emu/device.h"
#include "emu/fiber.h"
#include "emu/memory.h"
#include "emu/races.h"
#include "emu/traffic.h"

namespace emu {

// The order of blocks and of threads in a block: 0 ascending, 1 descending; other numbers seed
// random orders that change as the block runs.
using Schedule = uint64_t;

// State shared by all blocks of one launch.
struct Launch {
  std::string kernel;
  dim3 grid, block;
  size_t shared_bytes;
  void (*body)(const void* arguments);
  const void* arguments;
  size_t argument_bytes;
  Memory* memory;
  uint32_t number;  // of the launch
  Schedule schedule;
  bool eager;     // cp.async copies at once; a missing wait is still detected
  bool counting;  // of memory accesses
};

enum class State : uint8_t { ready, at_barrier, in_warp, returned };

// A copy of cp.async that has not landed.
struct Copy {
  char* to;
  const char* from;
  int size, bytes;
};

struct Thread {
  void* context = nullptr;
  State state = State::ready;
  uint32_t number = 0;
  Index index{};
  uintptr_t stack_begin = 0, stack_end = 0;
  int barrier = 0;              // that the thread waits at
  uint32_t mask = 0;            // lanes that meet there
  const char* doing = nullptr;  // the warp operation it waits in
  size_t extent_hint = 0;
  std::vector<Copy> copies;    // in flight, the oldest first
  std::vector<size_t> groups;  // of copies: where each one that is committed ends
};

// Carries out a warp operation once all of its lanes have arrived; lanes outside the mask are
// nullptr.
using WarpOperation = void (*)(void* const* lanes, uint32_t mask);

class Block {
 public:
  // Runs one block. Returns false if it failed; error() has the message.
  bool run(const Launch& launch, Index index);
  const std::string& error() const { return error_; }
  // Of the last run, if the launch counts.
  const Counts& counts() const { return counts_; }

  // Below, called by the block's threads (see current()).
  [[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // `at`: all lanes of a warp execute the barrier, or an operation that has a place, there.
  void barrier(int id, int threads, bool wait, Place at);
  void meet(uint32_t mask, const char* doing, void* operands, WarpOperation operation,
            bool orders_memory, Place at = {});
  // An access by the instruction at `code`.
  void check(const void* address, size_t size, Access kind, const void* code);
  // Like check, for operands that the hardware reads only from shared memory.
  void check_shared(const void* address, size_t size, Access kind, const char* what);
  void copy_async(void* shared, const void* from, int size, int bytes, const void* code);
  // Counts an access to shared memory by lanes of the current warp at once.
  void count_shared(const uintptr_t (&addresses)[32], uint32_t mask, size_t size);
  void async_commit();
  void async_wait(int pending);

  const Launch& launch() const { return *launch_; }
  const Thread& thread() const { return *thread_; }
  Index index() const { return index_; }
  char* shared() const { return shared_; }

 private:
  struct Barrier {
    int expected = 0, arrived = 0;
    std::vector<Thread*> waiting;
    Clocks::Gathered gathered;
  };
  // Lanes of a warp that wait for each other; disjoint masks meet separately.
  struct Meeting {
    const char* doing;
    Place at;
    uint32_t mask, come = 0;
    void* operands[32] = {};
  };
  // A barrier that some lanes of a warp have come to: the others must come to the same.
  struct Arrival {
    Place at;
    int id, threads;
    uint32_t come;
  };
  struct Warp {
    uint32_t lanes = 0, returned = 0;
    std::vector<Meeting> meetings;
    std::vector<Arrival> arrivals;
  };
  void start(const Launch& launch, Index index);
  Meeting* meeting(Warp* warp, uint32_t mask, const char* doing, Place at);
  void come_together(int id, int threads, Place at);
  void schedule_loop();
  bool run_turn(const uint32_t* begin, const uint32_t* end);
  void yield();
  void release_whole();
  void open(Barrier* b);
  void report_deadlock();
  std::string where() const;
  bool is_shared(uintptr_t a) const;
  void touch(uintptr_t a, size_t size, Access kind);
  Actor actor() const {
    return {static_cast<uint8_t>(thread_->number / 32), static_cast<uint8_t>(thread_->number % 32)};
  }
  void explain(Wrong wrong, Actor other, uintptr_t address, size_t size, const char* verb);
  static void entry();

  const Launch* launch_ = nullptr;
  Index index_{};
  uint32_t number_ = 0;  // of the block
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<uint32_t> order_;                      // of threads
  const uint32_t *turn_ = nullptr, *end_ = nullptr;  // in order_: the thread that runs, the end
  uint32_t alive_ = 0;
  Barrier barriers_[16];
  Thread* thread_ = nullptr;
  void* scheduler_ = nullptr;
  char* stacks_ = nullptr;
  size_t stack_count_ = 0;
  std::vector<char> arena_;
  char* shared_ = nullptr;
  Clocks clocks_;
  Shadow shadow_;
  Traffic traffic_;
  Counts counts_;
  std::mt19937_64 random_;
  std::string error_;
  bool failed_ = false;
};

// The library is loaded at run time but needs few bytes, so the fast TLS model works; __thread needs
// no test of whether it is initialized.
extern __thread Block* running __attribute__((tls_model("initial-exec")));

// Returns the block whose thread is running, or nullptr outside kernels.
inline Block* current() { return running; }

}  // namespace emu
