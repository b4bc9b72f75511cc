// The bodies for AVX2.
#include "vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define BODIES vector_avx2
#define LANES 8
#include "bodies.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
