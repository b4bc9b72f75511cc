// Race detection in a block's shared memory: accesses and their order.
//
// Order is tracked by one vector clock per warp (FastTrack, Flanagan & Freund 2009): a barrier
// passes on the clocks of the warps that arrive. Within a warp the last warp-wide barrier counts.
// Two unordered accesses to the same bytes by different threads, one of them a write, are a race,
// whether or not this schedule shows it.
//
// Bytes that are accessed together share their record: an access of 16 bytes is one record, until one
// of a part of them divides it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace emu {

enum class Access : uint8_t { read, write };

// A thread of the block as stored in shadow memory.
struct Actor {
  uint8_t warp, lane;
  bool operator==(Actor other) const { return warp == other.warp && lane == other.lane; }
};

class Clocks {
 public:
  void start(int warps);
  uint32_t now() const { return now_; }
  // Reports whether the access of `then` at `time` is ordered before the current one of `actor`.
  bool ordered(Actor then, uint32_t time, Actor actor) const {
    if (then.warp != actor.warp) return time <= seen_[actor.warp * warps_ + then.warp];
    return then.lane == actor.lane || time <= met_[actor.warp];
  }

  // A barrier joins the clocks of arriving warps and passes them to those that wait.
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

// The fault of an access, for a message.
enum class Wrong : uint8_t { nothing, uninitialized, pending, race_with_write, race_with_read };

class Shadow {
 public:
  // Resets for a new block with this many bytes.
  void start(size_t bytes);
  // Records an access and returns its fault; *other is then the thread it conflicts with.
  Wrong access(size_t offset, size_t size, Access kind, Actor actor, const Clocks& clocks,
               Actor* other);
  // cp.async: the bytes are in flight until arrive, which counts as the thread's write.
  Wrong depart(size_t offset, size_t size, Actor actor, const Clocks& clocks, Actor* other);
  void land(size_t offset, size_t size, Actor actor, const Clocks& clocks);

 private:
  static constexpr int kReaders = 8;    // compared with each write: of many, the last of each warp
  static constexpr size_t kGroup = 16;  // bytes of the largest access
  static constexpr size_t kLeast = 2;   // bytes of the smallest cell
  struct Group {
    uint32_t block = 0;
    uint32_t unit = kGroup;  // bytes of each of its cells
  };
  struct alignas(64) Cell {
    uint32_t write_time;
    Actor writer;
    bool written, pending;
    uint8_t readers, next;
    Actor reader[kReaders];
    uint32_t read_time[kReaders];
  };
  // Calls of for the cells of an access until one returns a fault. With `over`, of makes all cells of
  // the access the same.
  template <class Of>
  Wrong each(size_t offset, size_t size, bool over, Of of);
  static Wrong read(Cell& c, Actor actor, const Clocks& clocks, Actor* other);
  static Wrong write(Cell& c, Actor actor, const Clocks& clocks, Actor* other);

  std::vector<Group> groups_;
  std::vector<Cell>
      cells_;  // kGroup / kLeast of each group, of which it uses the first of each unit
  uint32_t block_ = 0;
};

}  // namespace emu
