#include "emu/image.h"

#include <link.h>

#include <vector>

namespace emu {

namespace {

struct Range {
  uintptr_t begin, end;
};

// Finds the loaded segments of the object that contains this function.
std::vector<Range> own_segments() {
  struct Search {
    uintptr_t inside;
    std::vector<Range> found;
  } search{reinterpret_cast<uintptr_t>(&own_segments), {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto* s = static_cast<Search*>(data);
        std::vector<Range> all;
        bool here = false;
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const auto& h = info->dlpi_phdr[i];
          if (h.p_type != PT_LOAD) continue;
          Range r{info->dlpi_addr + h.p_vaddr, info->dlpi_addr + h.p_vaddr + h.p_memsz};
          here |= r.begin <= s->inside && s->inside < r.end;
          all.push_back(r);
        }
        if (here) s->found = all;
        return here ? 1 : 0;
      },
      &search);
  return search.found;
}

}  // namespace

bool is_image(uintptr_t address) {
  static const std::vector<Range> segments = own_segments();
  for (const Range& r : segments) {
    if (r.begin <= address && address < r.end) return true;
  }
  return false;
}

}  // namespace emu
