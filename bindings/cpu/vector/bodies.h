// The bodies of all functions in groups of LANES, as BODIES. All give the same bits: none
// fuses multiply and add, and sums are of 16 lanes everywhere.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

#include "lanes.h"
// lanes.h is the foundation of all others.
#include "convert.h"
#include "exp.h"
#include "sums.h"
#include "softmax.h"
#include "activate.h"
#include "dropout.h"
#include "embed.h"
#include "norm.h"
#include "rope.h"
#include "clamp.h"
#include "products.h"
#include "optimize.h"
#include "folds.h"
#include "attention.h"
#include "attention_cached.h"

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)
#define ENTRY(result, function, parameters, arguments) .function = function,
const struct vector_bodies BODIES = {.name = QUOTE(BODIES), VECTOR_FUNCTIONS(ENTRY)};
