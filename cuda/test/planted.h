// A kernel of 64 threads from x to y, 64 numbers each, and what the emulator has to say of it.
#pragma once

struct Planted {
  const char* name;
  void (*kernel)(const float* x, float* y);
  unsigned blocks;
  const char* fault;  // words of the sentence; "": none, and y[i] is x[(i+33)%64]
};

// The kernels by number from 0, then nullptr.
const Planted* planted(int number);
