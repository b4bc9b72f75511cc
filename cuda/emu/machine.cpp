#include "emu/machine.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <numeric>
#include <random>

namespace emu {

Machine::Machine(int workers) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  for (int i = 0; i < workers; i++) workers_.emplace_back([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Machine::~Machine() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  begin_.notify_all();
  for (std::thread& t : workers_) t.join();
}

std::string Machine::run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                         void (*body)(const void*), const void* arguments, size_t argument_bytes) {
  std::unique_lock<std::mutex> lock(mutex_);
  Launch launch{kernel,         grid,    block,       shared_bytes, body,  arguments,
                argument_bytes, &memory, ++launches_, schedule,     eager, counting};
  order_.resize(uint64_t{grid.x} * grid.y * grid.z);
  std::iota(order_.begin(), order_.end(), uint64_t{0});
  if (schedule == 1) std::reverse(order_.begin(), order_.end());
  if (schedule > 1) {
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(schedule));
  }
  launch_ = &launch;
  next_ = 0;
  error_.clear();
  counts_ = {};
  begin_.notify_all();
  end_.wait(lock, [this] { return running_ == 0 && next_ == order_.size(); });
  launch_ = nullptr;
  return error_;
}

void Machine::work() {
  Block block;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    begin_.wait(lock, [this] { return stop_ || (launch_ != nullptr && next_ < order_.size()); });
    if (stop_) return;
    uint64_t number = order_[next_++];
    const Launch& launch = *launch_;
    running_++;
    lock.unlock();
    dim3 grid = launch.grid;
    Index index{static_cast<uint32_t>(number % grid.x),
                static_cast<uint32_t>(number / grid.x % grid.y),
                static_cast<uint32_t>(number / (uint64_t{grid.x} * grid.y))};
    bool done = block.run(launch, index);
    lock.lock();
    running_--;
    if (launch.counting) counts_.add(block.counts());
    if (!done) {
      if (error_.empty() || number < failed_block_) {
        error_ = block.error();
        failed_block_ = number;
      }
      next_ = order_.size();  // the others need not run
    }
    if (running_ == 0 && next_ == order_.size()) end_.notify_all();
  }
}

}  // namespace emu
