// The bodies for any processor: groups of four are NEON's and SSE2's.
#include "vector.h"

#include <math.h>
#include <string.h>

#define BODIES vector_plain
#define LANES 4
#include "bodies.h"
