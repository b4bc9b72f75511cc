// The families of amx.c on emulated tiles, for tests on processors without AMX.
#ifdef __x86_64__
#define TILES_EMULATED
#include "amx_multiply.h"

const struct kernels_family kernels_amx_emulated = {.name = "amx-emulated", AMX, .emulated = 1, .available = kernels_amx_packs};
const struct kernels_family kernels_amx3_emulated = {.name = "amx3-emulated", AMX3, .emulated = 1, .available = kernels_amx_packs};
#endif
