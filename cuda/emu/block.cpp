#include "emu/block.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "emu/image.h"

namespace emu {

namespace {
constexpr size_t kSharedAlignment = 1024;
// More than any launch may request, so that an address past the block's memory is detected.
constexpr size_t kArenaBytes = 512 << 10;
// Fills unwritten memory: NaN in every floating-point type.
constexpr int kPoison = 0xff;
}  // namespace

__thread Block* running = nullptr;

bool Block::run(const Launch& launch, Index index) {
  start(launch, index);
  running = this;
  schedule_loop();
  running = nullptr;
  if (launch.counting) counts_ = traffic_.finish();
  return !failed_;
}

void Block::start(const Launch& launch, Index index) {
  launch_ = &launch;
  index_ = index;
  failed_ = false;
  uint32_t n = launch.block.x * launch.block.y * launch.block.z;
  if (stack_count_ < n) {
    if (stacks_ != nullptr) munmap(stacks_, stack_count_ * kStackBytes);
    stacks_ = static_cast<char*>(mmap(nullptr, n * kStackBytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    stack_count_ = n;
  }
  threads_.resize(n);
  alive_ = n;
  warps_.assign((n + 31) / 32, {});
  for (uint32_t i = 0; i < n; i++) {
    warps_[i / 32].lanes |= 1u << i % 32;
    Thread& t = threads_[i];
    t.state = State::ready;
    t.number = i;
    t.index = {i % launch.block.x, i / launch.block.x % launch.block.y,
               i / (launch.block.x * launch.block.y)};
    char* stack = stacks_ + i * kStackBytes;
    // Staggered tops: stacks that all start on a page would share the same cache sets.
    t.context = new_fiber(stack, kStackBytes - 64 * (i % 64), entry);
    t.stack_begin = reinterpret_cast<uintptr_t>(stack);
    t.stack_end = t.stack_begin + kStackBytes;
    t.copies.clear();
    t.groups.clear();
  }
  order_.resize(n);
  std::iota(order_.begin(), order_.end(), 0u);
  if (launch.schedule == 1) std::reverse(order_.begin(), order_.end());
  number_ = index.x + (index.y + index.z * launch.grid.y) * launch.grid.x;
  random_.seed(launch.schedule * 0x9e3779b97f4a7c15 + number_);
  for (Barrier& b : barriers_) b = Barrier{};
  arena_.resize(kArenaBytes);
  auto base = reinterpret_cast<uintptr_t>(arena_.data());
  shared_ = arena_.data() + (kSharedAlignment - base % kSharedAlignment) % kSharedAlignment;
  std::memset(shared_, kPoison, launch.shared_bytes);
  clocks_.start(static_cast<int>((n + 31) / 32));
  if (launch.counting) traffic_.start(static_cast<int>((n + 31) / 32));
  shadow_.start(launch.shared_bytes);
}

// Runs a warp until none of its lanes can continue, so that its data stays in the cache. A random
// order steps through all threads of the block instead.
void Block::schedule_loop() {
  const uint32_t *first = order_.data(), *last = first + order_.size();
  while (alive_ > 0 && !failed_) {
    bool progress = false;
    if (launch_->schedule > 1) {
      std::shuffle(order_.begin(), order_.end(), random_);
      progress = run_turn(first, last);
    } else {
      for (const uint32_t* at = first; at < last;) {
        const uint32_t* end =
            std::find_if(at, last, [&](uint32_t n) { return n / 32 != *at / 32; });
        while (run_turn(at, end)) progress = true;
        at = end;
      }
    }
    if (!progress && !failed_ && alive_ > 0) report_deadlock();
  }
}

// Runs threads, one after the other, each until it waits. One that waits switches to the next; this
// function goes on where none is left, or where one returned. Reports whether any could run.
bool Block::run_turn(const uint32_t* begin, const uint32_t* end) {
  bool any = false;
  end_ = end;
  for (turn_ = begin; turn_ < end && !failed_; turn_++) {
    if (threads_[*turn_].state != State::ready) continue;
    any = true;
    thread_ = &threads_[*turn_];
    switch_to(&scheduler_, thread_->context);
    if (thread_->state != State::returned) break;
    alive_--;
    warps_[thread_->number / 32].returned |= 1u << thread_->number % 32;
    release_whole();
  }
  return any;
}

void Block::entry() {
  Block* b = running;
  b->launch_->body(b->launch_->arguments);
  if (!b->thread_->copies.empty()) {
    b->fault("returned before all of its asynchronous copies were waited for");
  }
  b->thread_->state = State::returned;
  b->yield();
  __builtin_unreachable();
}

void Block::yield() {
  Thread* t = thread_;
  if (t->state != State::returned && !failed_) {
    while (++turn_ < end_) {
      if (threads_[*turn_].state != State::ready) continue;
      thread_ = &threads_[*turn_];
      switch_to(&t->context, thread_->context);
      return;
    }
  }
  switch_to(&t->context, scheduler_);
}

std::string Block::where() const {
  char text[256];
  std::snprintf(text, sizeof text, "%s, block (%u, %u, %u), thread (%u, %u, %u)",
                launch_->kernel.c_str(), index_.x, index_.y, index_.z, thread_->index.x,
                thread_->index.y, thread_->index.z);
  return text;
}

void Block::fault(const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  error_ = where() + ": " + text;
  failed_ = true;
  yield();  // for good
  __builtin_unreachable();
}

// ---- barriers -------------------------------------------------------------------------------

namespace {
// Returns the place as "file.cu:12".
std::string text_of(Place at) {
  std::string file = at.file == nullptr ? "" : at.file;
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(at.line);
}
}  // namespace

// Barriers are of whole warps: lanes of one that come to different barriers, or at different places
// to one, are a fault. A lane may be ahead of others by barriers that it does not wait at.
void Block::come_together(int id, int threads, Place at) {
  uint32_t lane = 1u << thread_->number % 32;
  Warp& warp = warps_[thread_->number / 32];
  auto a = warp.arrivals.begin();
  while (a != warp.arrivals.end() && (a->come & lane) != 0) ++a;
  if (a == warp.arrivals.end()) {
    warp.arrivals.push_back({at, id, threads, lane});
    a = warp.arrivals.end() - 1;
  } else if (a->id != id || a->threads != threads || !(a->at == at)) {
    fault("comes to barrier %d at %s, while other lanes of its warp have come to barrier %d at %s",
          id, text_of(at).c_str(), a->id, text_of(a->at).c_str());
  }
  a->come |= lane;
  if ((a->come | warp.returned) != warp.lanes) return;
  warp.arrivals.erase(a);
  if (launch_->counting) traffic_.meet(static_cast<int>(thread_->number / 32));
}

void Block::barrier(int id, int threads, bool wait, Place at) {
  if (id < 0 || id > 15) fault("there is no barrier %d", id);
  if (threads % 32 != 0) fault("barrier %d of %d threads, which are no whole warps", id, threads);
  Barrier& b = barriers_[id];
  if (b.arrived > 0 && b.expected != threads) {
    fault("barrier %d of %d threads, while others came for %d", id, threads, b.expected);
  }
  come_together(id, threads, at);
  b.expected = threads;
  b.arrived++;
  clocks_.arrive(static_cast<int>(thread_->number / 32), &b.gathered);
  if (wait) b.waiting.push_back(thread_);
  int needed = threads == 0 ? static_cast<int>(alive_) : threads;
  if (b.arrived >= needed) {
    thread_->state = State::at_barrier;
    open(&b);
    thread_->state = State::ready;
    return;
  }
  if (!wait) return;
  thread_->state = State::at_barrier;
  thread_->barrier = id;
  yield();
}

void Block::open(Barrier* b) {
  uint64_t left = 0;  // one bit per warp
  for (Thread* t : b->waiting) {
    uint32_t warp = t->number / 32;
    if ((left >> warp & 1) == 0) clocks_.leave(static_cast<int>(warp), b->gathered);
    left |= uint64_t{1} << warp;
    t->state = State::ready;
  }
  *b = Barrier{};
}

// Threads that have returned are not waited for.
void Block::release_whole() {
  Barrier& b = barriers_[0];
  if (b.arrived > 0 && b.expected == 0 && b.arrived >= static_cast<int>(alive_)) open(&b);
}

Block::Meeting* Block::meeting(Warp* warp, uint32_t mask, const char* doing, Place at) {
  for (Meeting& m : warp->meetings) {
    if ((m.mask & mask) == 0) continue;
    if (m.mask != mask || m.doing != doing) {
      fault("%s by the lanes %#x, while others wait in %s by %#x", doing, mask, m.doing, m.mask);
    }
    if (!(m.at == at)) {
      fault("%s at %s, while other lanes of its warp are at %s", doing, text_of(at).c_str(),
            text_of(m.at).c_str());
    }
    return &m;
  }
  warp->meetings.push_back({doing, at, mask});
  return &warp->meetings.back();
}

void Block::meet(uint32_t mask, const char* doing, void* operands, WarpOperation operation,
                 bool orders_memory, Place at) {
  uint32_t lane = thread_->number % 32, first = thread_->number - lane;
  Warp& warp = warps_[thread_->number / 32];
  mask &= warp.lanes;
  if ((mask >> lane & 1) == 0) fault("%s: lane %u is not in its own mask %#x", doing, lane, mask);
  if ((mask & warp.returned) != 0) {
    fault("%s: lanes %#x of the mask have returned", doing, mask & warp.returned);
  }
  Meeting* m = meeting(&warp, mask, doing, at);
  m->operands[lane] = operands;
  m->come |= 1u << lane;
  if (m->come != mask) {
    thread_->state = State::in_warp;
    thread_->mask = mask;
    thread_->doing = doing;
    yield();
    return;
  }
  if (launch_->counting && (mask | warp.returned) == warp.lanes) {
    traffic_.meet(static_cast<int>(thread_->number / 32));
  }
  if (operation != nullptr) operation(m->operands, mask);
  if (orders_memory) clocks_.meet(static_cast<int>(thread_->number / 32));
  for (uint32_t l = 0; l < 32; l++) {
    if (mask >> l & 1) threads_[first + l].state = State::ready;
  }
  warp.meetings.erase(warp.meetings.begin() + (m - warp.meetings.data()));
}

void Block::report_deadlock() {
  std::string text;
  char line[160];
  uint32_t shown = 0, waiting = 0;
  std::string last;
  for (const Thread& t : threads_) {
    if (t.state == State::returned) continue;
    waiting++;
    if (t.state == State::at_barrier) {
      const Barrier& b = barriers_[t.barrier];
      std::snprintf(line, sizeof line, "at barrier %d, where %d of %d have come", t.barrier,
                    b.arrived, b.expected == 0 ? static_cast<int>(alive_) : b.expected);
    } else {
      std::snprintf(line, sizeof line, "in %s by the lanes %#x", t.doing, t.mask);
    }
    if (last == line || shown == 8) continue;
    last = line;
    shown++;
    text += (shown > 1 ? "; thread " : "thread ") + std::to_string(t.number) + " waits " + line;
  }
  std::snprintf(line, sizeof line,
                "%s, block (%u, %u, %u): deadlock of %u threads: ", launch_->kernel.c_str(),
                index_.x, index_.y, index_.z, waiting);
  error_ = line + text;
  failed_ = true;
}

// ---- memory ---------------------------------------------------------------------------------

bool Block::is_shared(uintptr_t a) const {
  auto begin = reinterpret_cast<uintptr_t>(arena_.data());
  return begin <= a && a < begin + arena_.size();
}

void Block::explain(Wrong wrong, Actor other, uintptr_t address, size_t size, const char* verb) {
  size_t at = address - reinterpret_cast<uintptr_t>(shared_);
  int thread = other.warp * 32 + other.lane;
  switch (wrong) {
    case Wrong::nothing:
      return;
    case Wrong::uninitialized:
      fault("%s %zu bytes at shared + %zu, which nothing has written", verb, size, at);
    case Wrong::pending:
      fault("%s %zu bytes at shared + %zu, where a copy of thread %d is under way", verb, size, at,
            thread);
    case Wrong::race_with_write:
      fault("%s %zu bytes at shared + %zu, which thread %d wrote with no barrier between", verb,
            size, at, thread);
    case Wrong::race_with_read:
      fault("%s %zu bytes at shared + %zu, which thread %d read with no barrier between", verb,
            size, at, thread);
  }
}

void Block::check_shared(const void* address, size_t size, Access kind, const char* what) {
  auto a = reinterpret_cast<uintptr_t>(address), begin = reinterpret_cast<uintptr_t>(shared_);
  if (a < begin || a + size > begin + launch_->shared_bytes) {
    fault("%s %zu bytes at shared + %td of %zu", what, size, static_cast<ptrdiff_t>(a - begin),
          launch_->shared_bytes);
  }
  if (a % size != 0) fault("%s %zu bytes at shared + %zu, misaligned", what, size, a - begin);
  if (size == 1) {
    fault("%s a single byte at shared + %zu, where races cannot be detected; use 2 or more", what,
          a - begin);
  }
  Actor other{};
  explain(shadow_.access(a - begin, size, kind, actor(), clocks_, &other), other, a, size, what);
}

void Block::touch(uintptr_t a, size_t size, Access kind) {
  uint32_t other;
  if (launch_->memory->touch(a, size, kind, launch_->number, number_, &other)) return;
  const Extent* e = launch_->memory->nearest(a);
  dim3 g = launch_->grid;
  fault("%s %zu bytes at %s + %zu, which block (%u, %u, %u) of the same launch touches, too",
        kind == Access::write ? "writes" : "reads", size, e->name.c_str(), a - e->begin,
        other % g.x, other / g.x % g.y, other / (g.x * g.y));
}

void Block::count_shared(const uintptr_t (&addresses)[32], uint32_t mask, size_t size) {
  if (launch_->counting) traffic_.shared(addresses, mask, size);
}

void Block::check(const void* address, size_t size, Access kind, const void* code) {
  auto a = reinterpret_cast<uintptr_t>(address);
  if (thread_->stack_begin <= a && a < thread_->stack_end) return;
  const char* verb = kind == Access::write ? "writes" : "reads";
  Actor me = actor();
  if (is_shared(a)) {
    check_shared(address, size, kind, verb);
    if (launch_->counting) traffic_.shared(me.warp, me.lane, code, a, size);
    return;
  }
  if (launch_->memory->find(a, size, &thread_->extent_hint) != nullptr) {
    if (a % size != 0) fault("%s %zu bytes at an address that is no multiple of it", verb, size);
    touch(a, size, kind);
    if (launch_->counting) traffic_.global(me.warp, me.lane, code, a, size, kind);
    return;
  }
  // Besides device memory, a kernel reads the library's constants and its arguments.
  auto arguments = reinterpret_cast<uintptr_t>(launch_->arguments);
  bool argument = arguments <= a && a + size <= arguments + launch_->argument_bytes;
  if (kind == Access::read && (argument || is_image(a))) return;
  if (const Extent* e = launch_->memory->nearest(a)) {
    fault("%s %zu bytes at %s + %zu, which has %zu", verb, size, e->name.c_str(), a - e->begin,
          e->end - e->begin);
  }
  fault("%s %zu bytes where there is no memory", verb, size);
}

// ---- asynchronous copies --------------------------------------------------------------------

void Block::copy_async(void* shared, const void* from, int size, int bytes, const void* code) {
  auto a = reinterpret_cast<uintptr_t>(shared), begin = reinterpret_cast<uintptr_t>(shared_);
  if (bytes < 0 || bytes > size) fault("copies %d of %d bytes", bytes, size);
  if (a < begin || a + size > begin + launch_->shared_bytes) {
    fault("copies %d bytes to shared + %td of %zu", size, static_cast<ptrdiff_t>(a - begin),
          launch_->shared_bytes);
  }
  if (a % size != 0) fault("copies %d bytes to shared + %zu, misaligned", size, a - begin);
  if (bytes > 0) {
    auto s = reinterpret_cast<uintptr_t>(from);
    if (s % size != 0) fault("copies %d bytes from an address that is no multiple of it", size);
    size_t* hint = &thread_->extent_hint;
    if (launch_->memory->find(s, static_cast<size_t>(bytes), hint) == nullptr) {
      // Reports the nearest allocation.
      check(from, static_cast<size_t>(bytes), Access::read, code);
    }
    touch(s, static_cast<size_t>(bytes), Access::read);
  }
  Actor me = actor(), other{};
  explain(shadow_.depart(a - begin, size, me, clocks_, &other), other, a, size, "copies to");
  if (launch_->counting) {
    traffic_.shared(me.warp, me.lane, code, a, size);
    if (bytes > 0) {
      traffic_.global(me.warp, me.lane, code, reinterpret_cast<uintptr_t>(from), size,
                      Access::read);
    }
  }
  Copy c{static_cast<char*>(shared), static_cast<const char*>(from), size, bytes};
  std::memset(c.to, kPoison, size);
  if (launch_->eager) {
    std::memcpy(c.to, c.from, bytes);
    std::memset(c.to + bytes, 0, size - bytes);
  }
  thread_->copies.push_back(c);
}

void Block::async_commit() { thread_->groups.push_back(thread_->copies.size()); }

void Block::async_wait(int pending) {
  auto& groups = thread_->groups;
  auto& copies = thread_->copies;
  if (groups.size() <= static_cast<size_t>(pending)) return;
  auto landing = static_cast<ptrdiff_t>(groups.size()) - pending;
  size_t landed = groups[landing - 1];
  for (size_t i = 0; i < landed; i++) {
    const Copy& c = copies[i];
    std::memcpy(c.to, c.from, c.bytes);
    std::memset(c.to + c.bytes, 0, c.size - c.bytes);
    shadow_.land(c.to - shared_, c.size, actor(), clocks_);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<ptrdiff_t>(landed));
  groups.erase(groups.begin(), groups.begin() + landing);
  for (size_t& end : groups) end -= landed;
}

}  // namespace emu
