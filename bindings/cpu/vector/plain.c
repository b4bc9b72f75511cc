// The bodies for any processor: groups of four are NEON's and SSE2's.
#include "vector.h"

#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define BODIES vector_plain
#define LANES 4
#include "bodies.h"
