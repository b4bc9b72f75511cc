#include "emu/races.h"

#include <algorithm>

namespace emu {

void Clocks::start(int warps) {
  warps_ = warps;
  now_ = 1;
  seen_.assign(static_cast<size_t>(warps) * warps, 0);
  met_.assign(warps, 0);
}

bool Clocks::ordered(Actor then, uint32_t time, Actor actor) const {
  if (then.warp != actor.warp) return time <= seen_[actor.warp * warps_ + then.warp];
  return then.lane == actor.lane || time <= met_[actor.warp];
}

void Clocks::arrive(int warp, Gathered* into) {
  into->seen.resize(warps_, 0);
  for (int w = 0; w < warps_; w++) {
    into->seen[w] = std::max(into->seen[w], seen_[warp * warps_ + w]);
  }
  into->seen[warp] = now_++;
}

void Clocks::leave(int warp, const Gathered& from) {
  for (int w = 0; w < warps_; w++) {
    uint32_t& known = seen_[warp * warps_ + w];
    known = std::max(known, from.seen[w]);
  }
  met_[warp] = std::max(met_[warp], from.seen[warp]);
}

void Shadow::start(size_t bytes) {
  if (cells_.size() < (bytes + 1) / 2) cells_.resize((bytes + 1) / 2);
  block_++;
}

Shadow::Cell& Shadow::cell(size_t i) {
  Cell& c = cells_[i];
  if (c.block != block_) {
    c.block = block_;
    c.written = c.pending = false;
    c.readers = c.next = 0;
  }
  return c;
}

Wrong Shadow::write(Cell& c, Actor actor, const Clocks& clocks, Actor* other) {
  if (c.pending) {
    *other = c.writer;
    return Wrong::pending;
  }
  if (c.written && !clocks.ordered(c.writer, c.write_time, actor)) {
    *other = c.writer;
    return Wrong::race_with_write;
  }
  for (int r = 0; r < c.readers; r++) {
    if (!clocks.ordered(c.reader[r].actor, c.reader[r].time, actor)) {
      *other = c.reader[r].actor;
      return Wrong::race_with_read;
    }
  }
  c.readers = c.next = 0;
  c.written = true;
  c.writer = actor;
  c.write_time = clocks.now();
  return Wrong::nothing;
}

Wrong Shadow::access(size_t offset, size_t size, Access kind, Actor actor, const Clocks& clocks,
                     Actor* other) {
  for (size_t i = offset / 2; i <= (offset + size - 1) / 2; i++) {
    Cell& c = cell(i);
    if (kind == Access::write) {
      if (Wrong w = write(c, actor, clocks, other); w != Wrong::nothing) return w;
      continue;
    }
    *other = c.writer;
    if (c.pending) return Wrong::pending;
    if (!c.written) return Wrong::uninitialized;
    if (!clocks.ordered(c.writer, c.write_time, actor)) return Wrong::race_with_write;
    Reader me{clocks.now(), actor};
    bool known = false;
    for (int r = 0; r < c.readers && !known; r++) {
      known = c.reader[r].actor.warp == actor.warp && c.reader[r].actor.lane == actor.lane;
      if (known) c.reader[r] = me;
    }
    if (known) continue;
    if (c.readers < kReaders) {
      c.reader[c.readers++] = me;
      continue;
    }
    // A reader of the same warp is the least loss, since warps are what barriers order.
    int last = c.next;
    for (int r = 0; r < kReaders; r++) {
      if (c.reader[r].actor.warp == actor.warp) last = r;
    }
    c.reader[last] = me;
    c.next = (c.next + 1) % kReaders;
  }
  return Wrong::nothing;
}

Wrong Shadow::depart(size_t offset, size_t size, Actor actor, const Clocks& clocks, Actor* other) {
  for (size_t i = offset / 2; i < (offset + size) / 2; i++) {
    Cell& c = cell(i);
    if (Wrong w = write(c, actor, clocks, other); w != Wrong::nothing) return w;
    c.pending = true;
  }
  return Wrong::nothing;
}

void Shadow::land(size_t offset, size_t size, Actor actor, const Clocks& clocks) {
  for (size_t i = offset / 2; i < (offset + size) / 2; i++) {
    Cell& c = cell(i);
    c.pending = false;
    c.writer = actor;
    c.write_time = clocks.now();
  }
}

}  // namespace emu
