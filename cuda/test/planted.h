// A kernel of 64 threads from x to y, 64 numbers each, and the fault that the emulator must report.
#pragma once

struct Planted {
  const char* name;
  void (*kernel)(const float* x, float* y);
  unsigned blocks;
  const char* fault;  // words of the message; "": none, and y[i] is x[(i+33)%64]
};

// The kernels by number from 0, then nullptr.
const Planted* planted(int number);

// A kernel of the same threads, and what its accesses to memory must be counted as.
struct Counted {
  const char* name;
  void (*kernel)(const float* x, float* y);
  int wavefronts, least_wavefronts, sectors, least_sectors;
};

const Counted* counted(int number);
