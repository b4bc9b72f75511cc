// The families of AMX's tiles: amx multiplies bfloat16; amx3 multiplies float32 as three
// products of bfloat16, x·y ~ hi·hi + hi·lo + lo·hi with x = hi + lo.
#ifdef __x86_64__
#include "amx_multiply.h"

#include "x86.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// Reports whether the processor has tiles of bfloat16 and the system saves them. Linux has
// the right to use them granted to the process on request.
static int available(void) {
	enum { amx_bf16 = 1 << 22, amx_tile = 1 << 24 };
	enum { tile_state = 3 << 17, tile_data = 18, request = 0x1023 }; // ARCH_REQ_XCOMP_PERM
	unsigned a, b, c, d, low, high;
	if (!kernels_amx_packs()) return 0;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & amx_bf16) || !(d & amx_tile)) return 0;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if ((low & tile_state) != tile_state) return 0;
#ifdef __linux__
	return syscall(SYS_arch_prctl, request, tile_data) == 0;
#else
	return 0;
#endif
}

// Multiplies tiles of zeros for rounds rounds, of which each adds to all sums.
TILES_TARGET static double spin_amx(long rounds) {
	configure();
	for (long i = 0; i < rounds; i++) add_planes(1, 1);
	tile_release();
	return 2.0 * panel_lines * panel_lines * tile_depth * (double)rounds;
}

// A product of float32 is three of bfloat16.
static double spin_amx3(long rounds) { return spin_amx(rounds) / 3; }

const struct kernels_family kernels_amx = {.name = "amx", AMX, .trial = 1, .available = available, .spin = spin_amx};
const struct kernels_family kernels_amx3 = {.name = "amx3", AMX3, .trial = 1, .available = available, .spin = spin_amx3};
#endif
