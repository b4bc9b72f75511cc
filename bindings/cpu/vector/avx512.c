// The bodies for AVX-512.
#include "vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq")
#endif
#define BODIES vector_avx512
#define LANES 16
#include "bodies.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
