#include "x86.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

// Returns XCR0: the registers that the system saves when it switches threads.
static uint64_t saved(void) {
	uint32_t low, high;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

int kernels_x86(void) {
	enum { fma = 1 << 12, osxsave = 1 << 27, f16c = 1 << 29 };                            // leaf 1, ecx
	enum { avx2 = 1 << 5, avx512f = 1 << 16, avx512dq = 1 << 17, avx512bw = 1 << 30 };    // leaf 7.0, ebx
	const unsigned avx512vl = 1u << 31, avx512 = avx512f | avx512dq | avx512bw | avx512vl; // leaf 7.0, ebx
	enum { avx512bf16 = 1 << 5 };                                                         // leaf 7.1, eax
	enum { ymm = 0x6, zmm = 0xe6 };                                                       // XCR0
	unsigned a, b, c, d, most;
	char vendor[12];
	int flags = 0;
	if (!__get_cpuid(0, &most, &b, &c, &d) || most < 7) return 0;
	memcpy(vendor, &b, 4);
	memcpy(vendor + 4, &d, 4);
	memcpy(vendor + 8, &c, 4);
	if (memcmp(vendor, "GenuineIntel", sizeof vendor) == 0) flags |= x86_intel;
	__cpuid(1, a, b, c, d);
	if ((c & osxsave) == 0 || (saved() & ymm) != ymm || (c & fma) == 0 || (c & f16c) == 0) return flags;
	__cpuid_count(7, 0, most, b, c, d);
	if ((b & avx2) == 0) return flags;
	flags |= x86_avx2;
	if ((b & avx512) != avx512 || (saved() & zmm) != zmm) return flags;
	flags |= x86_avx512;
	if (most < 1) return flags;
	__cpuid_count(7, 1, a, b, c, d);
	return (a & avx512bf16) != 0 ? flags | x86_avx512bf16 : flags;
}

#endif
