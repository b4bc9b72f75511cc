#include "emu/races.h"

#include <algorithm>

namespace emu {

void Clocks::start(int warps) {
  warps_ = warps;
  now_ = 1;
  seen_.assign(static_cast<size_t>(warps) * warps, 0);
  met_.assign(warps, 0);
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
  size_t groups = (bytes + kGroup - 1) / kGroup;
  if (groups_.size() < groups) {
    groups_.resize(groups);
    cells_.resize(groups * (kGroup / kLeast));
  }
  block_++;
}

template <class Of>
Wrong Shadow::each(size_t offset, size_t size, bool over, Of of) {
  size_t both = offset | size;
  size_t unit =
      std::clamp(both & (~both + 1), kLeast, kGroup);  // the power of two that divides both
  for (size_t begin = offset / kGroup * kGroup; begin < offset + size; begin += kGroup) {
    Group& g = groups_[begin / kGroup];
    Cell* cells = &cells_[begin / kLeast];
    if (g.block != block_) {
      g = {block_, kGroup};
      cells->written = cells->pending = false;
      cells->readers = cells->next = 0;
    }
    for (; g.unit > unit; g.unit /= 2) {
      for (size_t b = 0; b < kGroup; b += g.unit)
        cells[(b + g.unit / 2) / kLeast] = cells[b / kLeast];
    }
    size_t from = std::max(offset, begin) - begin, to = std::min(offset + size - begin, kGroup);
    for (size_t b = from / g.unit * g.unit; b < to; b += g.unit) {
      if (Wrong w = of(cells[b / kLeast]); w != Wrong::nothing) return w;
    }
    if (over && to - from == kGroup) g.unit = kGroup;
  }
  return Wrong::nothing;
}

Wrong Shadow::read(Cell& c, Actor actor, const Clocks& clocks, Actor* other) {
  *other = c.writer;
  if (c.pending) return Wrong::pending;
  if (!c.written) return Wrong::uninitialized;
  if (!clocks.ordered(c.writer, c.write_time, actor)) return Wrong::race_with_write;
  int r = 0;
  while (r < c.readers && !(c.reader[r] == actor)) r++;
  if (r == kReaders) {
    // A reader of the same warp is the least loss, since warps are what barriers order.
    r = c.next;
    for (int i = 0; i < kReaders; i++) {
      if (c.reader[i].warp == actor.warp) r = i;
    }
    c.next = (c.next + 1) % kReaders;
  } else if (r == c.readers) {
    c.readers++;
  }
  c.reader[r] = actor;
  c.read_time[r] = clocks.now();
  return Wrong::nothing;
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
    if (!clocks.ordered(c.reader[r], c.read_time[r], actor)) {
      *other = c.reader[r];
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
  if (kind == Access::read) {
    return each(offset, size, false, [&](Cell& c) { return read(c, actor, clocks, other); });
  }
  return each(offset, size, true, [&](Cell& c) { return write(c, actor, clocks, other); });
}

Wrong Shadow::depart(size_t offset, size_t size, Actor actor, const Clocks& clocks, Actor* other) {
  return each(offset, size, true, [&](Cell& c) {
    Wrong w = write(c, actor, clocks, other);
    if (w == Wrong::nothing) c.pending = true;
    return w;
  });
}

void Shadow::land(size_t offset, size_t size, Actor actor, const Clocks& clocks) {
  each(offset, size, false, [&](Cell& c) {
    c.pending = false;
    c.writer = actor;
    c.write_time = clocks.now();
    return Wrong::nothing;
  });
}

}  // namespace emu
