// What the processor and the operating system offer on x86-64.
#ifndef X86_H
#define X86_H

enum { x86_avx2 = 1, x86_avx512 = 2, x86_avx512bf16 = 4, x86_intel = 8 };

// Returns the flags above: avx2 with FMA and F16C; avx512 with its parts F, BW, DQ and VL.
int kernels_x86(void);

#endif
