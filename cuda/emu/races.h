// Who touched a block's shared memory, and what was ordered before what.
//
// Order is kept as vector clocks of warps (FastTrack, Flanagan & Freund 2009): a barrier passes on
// what its arriving warps knew. Within a warp its last warp-wide barrier counts. Two accesses to
// the same bytes by different threads, one of them a write, that nothing orders are a race,
// whether or not this schedule shows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace emu {

enum class Access : uint8_t { read, write };

// A thread of the block as shadow memory remembers it.
struct Actor {
  uint8_t warp, lane;
};

class Clocks {
 public:
  void start(int warps);
  uint32_t now() const { return now_; }
  // Whether what `then` did at `time` is ordered before what `actor` does now.
  bool ordered(Actor then, uint32_t time, Actor actor) const;

  // A barrier gathers what arriving warps know, and gives it to those that wait.
  struct Gathered {
    std::vector<uint32_t> seen;
  };
  void arrive(int warp, Gathered* into);
  void leave(int warp, const Gathered& from);
  // All lanes of the warp have met.
  void meet(int warp) { met_[warp] = now_++; }

 private:
  int warps_ = 0;
  uint32_t now_ = 1;
  std::vector<uint32_t> seen_;  // [warp][of warp]: up to when
  std::vector<uint32_t> met_;   // of each warp: its last meeting
};

// What is wrong with an access, for a message.
enum class Wrong : uint8_t { nothing, uninitialized, pending, race_with_write, race_with_read };

class Shadow {
 public:
  // Forgets everything: a new block with this many bytes.
  void start(size_t bytes);
  // Records an access and says what is wrong with it; *other is then the thread it conflicts with.
  Wrong access(size_t offset, size_t size, Access kind, Actor actor, const Clocks& clocks,
               Actor* other);
  // cp.async: the bytes are on their way until arrive, which counts as the thread's write.
  Wrong depart(size_t offset, size_t size, Actor actor, const Clocks& clocks, Actor* other);
  void land(size_t offset, size_t size, Actor actor, const Clocks& clocks);

 private:
  static constexpr int kReaders = 4;  // of the last ones, that a write is held against
  struct Reader {
    uint32_t time;
    Actor actor;
  };
  struct Cell {  // two bytes
    uint32_t block = 0;
    uint32_t write_time;
    Actor writer;
    bool written, pending;
    uint8_t readers, next;
    Reader reader[kReaders];
  };
  Cell& cell(size_t i);
  static Wrong write(Cell& c, Actor actor, const Clocks& clocks, Actor* other);

  std::vector<Cell> cells_;
  uint32_t block_ = 0;
};

}  // namespace emu
