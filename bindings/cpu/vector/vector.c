// Chooses the bodies for the processor.
#include "vector.h"

#include <stddef.h>

extern const struct vector_bodies vector_avx512, vector_avx2, vector_plain;

// The processor's bodies, the fastest first.
static const struct vector_bodies *supported[4], *chosen;

__attribute__((constructor)) static void detect(void) {
	int n = 0;
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
		supported[n++] = &vector_avx512;
	if (__builtin_cpu_supports("avx2")) supported[n++] = &vector_avx2;
#endif
	supported[n] = &vector_plain;
	chosen = supported[0];
}

const char *vector_body(int i) { return supported[i] ? supported[i]->name : NULL; }

void vector_use(int i) { chosen = supported[i]; }

#define CALL(result, function, parameters, arguments) \
	result vector_##function parameters { return chosen->function arguments; }
VECTOR_FUNCTIONS(CALL)
