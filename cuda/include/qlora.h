// The C boundary between Go and the kernels: one table of functions exported by a shared library
// (libqlora_cuda.so, or libqlora_emu.so, the same sources on the emulator).
//
// Every function returns a status and never prints, exits or throws; qlora_api.error returns the
// message of the last status other than QLORA_OK. The caller has checked shapes, element types and
// aliasing (package bindings). Arguments that a kernel does not support (an unknown layout, a
// scratch that is too small) return QLORA_UNSUPPORTED with a message.
//
// Work is enqueued on the context's stream and runs in order; transfers are enqueued on a second one.
// The caller owns all memory: a step allocates nothing. Shapes are [rows, cols], row-major.
#ifndef QLORA_H
#define QLORA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// QLORA_ABI changes whenever the meaning or position of anything below changes.
#define QLORA_ABI 22

enum {
  QLORA_OK = 0,
  QLORA_ERROR = 1,          // the driver, a kernel or (on the emulator) a check reports an error
  QLORA_OUT_OF_MEMORY = 2,  // an allocation does not fit
  QLORA_NO_DEVICE = 3,      // no GPU, no driver, or no GPU of that number
  QLORA_UNSUPPORTED = 4     // the kernel does not support an argument
};

// Element types, numbered as bindings.DType.
enum { QLORA_F32, QLORA_BF16, QLORA_F16, QLORA_U8, QLORA_I32 };

// A matrix in device memory; data is NULL if it is absent. Element (i, j) is data[i * stride + j];
// a vector has one row. Where the operation allows it, the columns of a view form groups: `width`
// adjacent columns every `period` elements, so that column j is at j / width * period + j % width.
// Width 0: one group.
typedef struct {
  void* data;
  int64_t rows, cols, stride;
  int32_t dtype;
  int32_t width, period;
} qlora_tensor;

enum { QLORA_NF4 = 0, QLORA_FP4 = 1, QLORA_Q4_0 = 2, QLORA_IQ4 = 3 };  // numbered as nf4.Kind

// A base weight [out, in]: dense, or bitsandbytes' 4-bit blocks (see bindings.Quantized): element
// e = row*in + col has its code in byte e/2 (even e: the high nibble) and the scale absmax[e/block].
// With double quantization (absmax_codes present) the scale is map[absmax_codes[b]] *
// nested[b/nested_block] + offset, rounded after the product.
typedef struct {
  int32_t out, in;
  qlora_tensor dense;  // F32, BF16 or F16; absent for 4-bit weights
  int32_t kind, block;
  const uint8_t* codes;
  const float* absmax;
  const uint8_t* absmax_codes;
  const float* nested;
  int32_t nested_block;
  const float* map;     // [256]
  const float* offset;  // [1]
} qlora_weight;

// The dropout mask of a [tokens, features] matrix: element (row, col) is kept and multiplied by
// scale if its 16 bits of Philox4x32-10 (package philox) reach the threshold; others become 0. With
// lost the factor is the complement, 1 - that factor. Threshold 0 keeps all. What changes from one
// replay of a graph to the next lies in device memory: place, if not NULL, has numbers that are added
// to the step and to every row.
typedef struct {
  uint64_t seed;
  uint32_t stream, step, threshold;
  float scale;
  int32_t lost;
  const uint32_t* place;  // [2] on the device, or NULL
} qlora_mask;

// ---- products -------------------------------------------------------------------------------

enum {
  QLORA_NT,  // A [M, K] · B [N, K]ᵀ: a projection
  QLORA_NN,  // A [M, K] · B [K, N]: the gradient of its input
  QLORA_TN   // A [K, M]ᵀ · B [K, N]: the gradient of a weight
};

// The operand that a gemm's mask applies to.
enum {
  QLORA_MASK_NONE,
  QLORA_MASK_A,          // A, in its own rows and columns
  QLORA_MASK_B,          // B, likewise
  QLORA_MASK_EXTENSION,  // A2·B2, in C's rows and columns
  QLORA_MASK_RESULT      // all products, in C's rows and columns
};

// The gradient of a gated activation, computed where a product computes the gradient of its output:
// see qlora_activate_backward.
typedef struct {
  int32_t kind, again;  // again: C is what activate wrote to y, else it is lost
  qlora_tensor g, u, dg, du;
} qlora_gate;

// C = [C +] residual + bias + gain·scale·(mask(scale2·A2·op(B2)) + op(A)·op(B))
//
// A, B, A2, B2 are BF16; A2·op(B2) is a low-rank update in the layout of A·op(B): it is summed in
// the same accumulators, before the base's product. With b absent, the 4-bit weight is read instead
// and decoded inline (NT and NN). C is BF16 or F32.
typedef struct {
  int32_t layout;
  qlora_tensor a, b, c;
  qlora_weight weight;
  qlora_tensor a2, b2;
  float scale, scale2;
  qlora_tensor gain;      // F32 [1, N]
  qlora_tensor bias;      // F32, BF16 or F16 [1, N]
  qlora_tensor residual;  // BF16 [M, N]; may be C
  int32_t accumulate;     // C += instead of C =
  int32_t mask_on;
  qlora_mask mask;
  int32_t mask_row, mask_col;  // position of the masked matrix's (0, 0) in the mask
  int32_t splits;              // pieces of the contraction, added in order through workspace
  qlora_tensor workspace;      // F32, splits·M·N elements where splits > 1
  qlora_gate gate;             // optional: C is its dy
} qlora_gemm;

// The output of a gated activation, computed where two products compute its inputs, g and u: see
// qlora_activate.
typedef struct {
  int32_t kind;
  qlora_tensor y;
} qlora_gated;

// Products in one launch. NT: of one A, or of several of the same shape, each with its own C of as
// many rows, in as many splits. Summed, NN: the parts' A·B are added up in the first one's C by its
// epilogue, without splits; only the first has an extension, and none a 4-bit weight.
enum { QLORA_PARTS = 4 };
typedef struct {
  qlora_gemm of[QLORA_PARTS];
  int32_t count;  // of parts, at least 1
  int32_t summed;
  qlora_gated gated;  // optional, of two parts in NT: their C are its g and u
} qlora_gemm_parts;

// C of at most 8 rows and a 4-bit or dense weight, NT, without mask: generation. Uses the fields of
// qlora_gemm with b absent.
typedef qlora_gemm qlora_gemv;

// U = scale·DY·B and DB += scale·DYᵀ·XA of up to QLORA_PARTS adapters of ranks of up to 32, in one
// pass over each DY. DB's partial sums are of so many pieces of the tokens; U's of 512 columns of DY.
typedef struct {
  qlora_tensor dy;            // BF16 [tokens, out]
  qlora_tensor b;             // BF16 [out, r]
  qlora_tensor xa, u;         // BF16 [tokens, r]
  qlora_tensor db;            // F32 [out, r]
  qlora_tensor u_workspace;   // F32, ceil(out/512)·tokens·r elements
  qlora_tensor db_workspace;  // F32, pieces·out·r elements
  float scale;
} qlora_pull;
typedef struct {
  qlora_pull of[QLORA_PARTS];
  int32_t count, pieces;
} qlora_pull_parts;

// ---- weights --------------------------------------------------------------------------------

// y = the elements [row, row+y.rows) x [col, col+y.cols) of the weight, in BF16: each is
// value·absmax in float32, rounded once.
typedef struct {
  qlora_weight weight;
  int64_t row, col;
  qlora_tensor y;
} qlora_decode;

// Decodes parts of several weights in one launch.
typedef struct {
  qlora_decode of[QLORA_PARTS];
  int32_t count;
} qlora_decode_parts;

// Codes and scales of x's elements as bitsandbytes' CUDA kernels compute them (no nesting).
typedef struct {
  qlora_tensor x;  // F32, BF16 or F16, flat
  int32_t kind, block;
  uint8_t* codes;
  float* absmax;
} qlora_quantize;

// Quantizes the scales to 8 bits: offset = mean(absmax), then blocks of 256 by the map.
typedef struct {
  const float* absmax;  // [blocks]
  int64_t blocks;
  const float* map;  // [256], ascending
  uint8_t* codes;    // [blocks]
  float* nested;     // [ceil(blocks/256)]
  float* offset;     // [1]
} qlora_nest;

// norms[o] = sqrt(sum over i of (W + scale·B·A)[o][i]²)
typedef struct {
  qlora_weight weight;
  qlora_tensor a, b;  // BF16 [r, in], [out, r]
  float scale;
  qlora_tensor norms;  // F32 [1, out]
} qlora_row_norms;

// ---- layers ---------------------------------------------------------------------------------

// Sets the context's error (first row and its value) unless all values are in [0, limit) or
// ignored. Kernels that index by the values then do nothing.
typedef struct {
  qlora_tensor values;  // I32 [1, n]
  int32_t limit;
  int32_t ignore;    // another allowed value; 0: none
  const char* text;  // printf's format of row, value and limit, as %d %d %d; static
} qlora_check_range;

typedef struct {
  qlora_tensor ids, table, y;
  int32_t accumulate;  // y += instead of y =
  float scale;
  float noise;  // bound of uniform noise; 0: none
  uint64_t seed;
  uint32_t stream, step;
  const uint32_t* place;  // on the device: a number that is added to the step; or NULL
  const float* bound;     // on the device: takes the place of noise where that is not 0; or NULL
} qlora_embed;

typedef struct {
  qlora_tensor ids, dy, dtable;
  float scale;
  int32_t pad;
} qlora_embed_backward;

// The angles of rotary positions: the first 2·cos.cols dimensions of each head are rotated, in pairs
// (2i, 2i+1) if interleaved, else (i, i + cos.cols).
typedef struct {
  qlora_tensor positions, cos, sin;  // I32 [1, tokens], F32 [positions, half]; absent: no rotation
  int32_t interleaved;
} qlora_angles;

// A norm of rows that another operation has written, with one row of weights.
typedef struct {
  qlora_tensor weight, bias, y;  // y absent: no norm
  float eps, offset;
  int32_t centered, pad;
} qlora_next_norm;

// RMSNorm, or LayerNorm if centered; see bindings.Norm. Row t uses row t % turns of weight and bias
// [turns, cols]. weight, bias, residual, mean and rstd are optional. With angles, the rows are heads,
// as many of each token follow each other, and y is rotated. With next, another norm of y is written,
// too.
typedef struct {
  qlora_tensor x, weight, bias, y;
  qlora_tensor residual;    // added to y; may be y
  qlora_tensor mean, rstd;  // F32 [1, rows]
  float eps, offset;        // offset is added to the weight
  int32_t centered, heads;
  qlora_angles angles;
  qlora_next_norm next;
} qlora_norm;

// Without rstd (and mean, if centered), the statistics are computed from x again. y, optional, is
// what norm writes, and may be dy; it alone needs the bias.
typedef struct {
  qlora_tensor x, weight, bias, mean, rstd, dy, dx, y;
  float eps, offset;
  int32_t centered, accumulate;
  qlora_tensor dweight, dbias;  // F32 [turns, cols], optional
  qlora_tensor workspace;  // F32 [pieces·turns, cols], one partial sum per piece of a turn's rows
} qlora_norm_backward;

// x, and k if it is present, may be views of columns in groups of whole heads.
typedef struct {
  qlora_tensor x, k;
  int32_t heads, kv_heads, head_dim;
  qlora_angles angles;
  int32_t inverse;
} qlora_rope;

// A norm of each head, whose weight and bias [turns, head_dim] the heads use in turn.
typedef struct {
  qlora_tensor weight, bias;  // optional
  float eps, offset;
  int32_t centered, present;  // present 0: no norm
} qlora_head_norm;

// See bindings.Extend: q, if it is present, is normalized and rotated in place, k on its way to rows
// `rows` of keys, and v is copied to those of values. q, k and v may be views of columns in groups of
// whole heads.
typedef struct {
  qlora_tensor q, k, v;
  int32_t heads, kv_heads, head_dim, pad;
  qlora_head_norm q_norm, k_norm;
  qlora_angles q_angles, k_angles;  // of the same positions
  qlora_tensor keys, values;
  qlora_tensor rows;  // I32 [1, tokens]
} qlora_extend;

// Numbered as bindings.Activation.
enum { QLORA_SILU, QLORA_GELU, QLORA_GELU_TANH, QLORA_RELU, QLORA_RELU2, QLORA_ACTIVATIONS };

// y = f(g), or f(g)·u if u is present. g, u, dg and du may be strided. Backward writes y again if it
// is present; it may be dy.
typedef struct {
  int32_t kind;
  qlora_tensor g, u, y;
} qlora_activate;

typedef struct {
  int32_t kind;
  qlora_tensor g, u, dy, dg, du, y;
} qlora_activate_backward;

// y = residual + scale·mask(x); residual is optional, y may be x or residual.
typedef struct {
  qlora_tensor x, residual, y;
  float scale;
  qlora_mask mask;
} qlora_add;

// x limited to [-limit, limit], or with dx: dx = 0 where |x| >= limit, the limit rounded to BF16.
typedef struct {
  qlora_tensor x;
  qlora_tensor dx;  // absent: x is limited
  float limit;
} qlora_clamp;

// Causal attention within sequences, see bindings.Attend. Starts are on the device; longest_q and
// longest_k bound the grid on the host. q, k and v may be views of columns in groups of whole
// heads. Only attend_decode uses workspace, F32 [pieces, tokens·heads·(head_dim + 2)]: each row is
// the partial result of one piece of the keys. One piece needs none; min(ceil(longest_k/256), 32)
// keep a GPU busy. attend_decode is for few queries and writes no LSE.
typedef struct {
  qlora_tensor q, k, v, o, lse;        // lse optional
  const int32_t *q_starts, *k_starts;  // [sequences + 1]
  int32_t sequences, longest_q, longest_k;
  int32_t heads, kv_heads, head_dim;
  float scale;
  int32_t window;         // 0: none
  float cap;              // 0: none
  qlora_tensor key_bias;  // F32 [heads, positions], by a key's place in its sequence; optional
  qlora_tensor sinks;     // F32 [1, heads]; optional
  qlora_mask mask;        // of P: row token·heads + head, column the key's place
  qlora_tensor workspace;
} qlora_attend;

typedef struct {
  qlora_attend forward;
  qlora_tensor d_o, dq, dk, dv;     // dq may be d_o; all but d_o may be views, as q, k and v
  qlora_tensor dsinks;              // F32 [1, heads], added to; optional
  qlora_angles q_angles, k_angles;  // dq and dk are rotated back
  qlora_tensor workspace;           // F32, tokens·heads elements
} qlora_attend_backward;

// Losses of one chunk of tokens' logits and, in place, their gradient: of z =
// cap·tanh(logit_scale·logits/cap), or of z = logit_scale·logits without a cap. The target has 1 -
// smoothing on the label plus smoothing/vocabulary on each logit. Entropies are of softmax(z).
typedef struct {
  qlora_tensor logits;  // BF16 [tokens, vocabulary]
  float logit_scale, logit_cap, smoothing;
  qlora_tensor labels;   // I32 [1, tokens]; -100 is ignored
  qlora_tensor weights;  // F32 [1, tokens], of the losses in the gradient; optional: 1
  float scale;
  qlora_tensor factor;     // F32 [1, 1], of scale; optional: 1
  qlora_tensor losses;     // F32 [1, tokens]
  qlora_tensor hits;       // F32 [1, tokens]: 1 where the label is the argmax
  qlora_tensor entropies;  // F32 [1, tokens]; optional, and without smoothing
  int32_t backward;
} qlora_cross_entropy;

// stats += [scale·sum(weights·losses), labels that are not -100, sum(hits)]; weights are optional.
typedef struct {
  qlora_tensor losses, hits, labels, weights, stats;
  float scale;
  qlora_tensor factor;  // F32 [1, 1], of scale; optional: 1
} qlora_loss_stats;

// out[s] = -sum(share·losses) over the tokens of sequence s: see bindings.LogProbs.
typedef struct {
  qlora_tensor losses, share;  // F32 [1, tokens]
  qlora_tensor starts;         // I32 [1, sequences + 1]
  qlora_tensor out;            // F32 [1, sequences]
} qlora_log_probs;

// The losses of preferences, numbered as bindings.PreferenceLoss, and the elements of the stats.
enum {
  QLORA_LOSS_SIGMOID,
  QLORA_LOSS_HINGE,
  QLORA_LOSS_IPO,
  QLORA_LOSS_NORM,
  QLORA_LOSS_ROBUST,
  QLORA_LOSS_EXO,
  QLORA_LOSS_NCA,
  QLORA_LOSS_BCO,
  QLORA_LOSS_SPPO,
  QLORA_LOSS_APO_ZERO,
  QLORA_LOSS_APO_DOWN,
  QLORA_LOSS_DISCOPOP,
  QLORA_LOSS_AOT,
  QLORA_LOSS_AOT_UNPAIRED,
  QLORA_LOSS_ODDS,
  QLORA_LOSS_KTO,
  QLORA_LOSS_APO_ZERO_UNPAIRED,
  QLORA_LOSS_SMOOTHED
};
enum {
  QLORA_STAT_LOSS,
  QLORA_STAT_CHOSEN_REWARD,
  QLORA_STAT_REJECTED_REWARD,
  QLORA_STAT_ACCURACY,
  QLORA_STAT_CHOSEN_LOG_PROB,
  QLORA_STAT_REJECTED_LOG_PROB,
  QLORA_STAT_FIT,
  QLORA_STAT_LOG_ODDS,
  QLORA_STAT_LOG_ODDS_RATIO,
  QLORA_STAT_KL,
  QLORA_STAT_BATCHES,
  QLORA_STAT_CHOSEN,
  QLORA_STAT_REJECTED,
  QLORA_STAT_MARGIN,
  QLORA_STAT_BOTH,
  QLORA_STATS
};
enum { QLORA_MAX_TERMS = 8 };

// bindings.Preference: vectors in F32 of the sequences (log_probs to slopes) and of their tokens.
typedef struct {
  int32_t losses_of[QLORA_MAX_TERMS];  // the terms' losses
  float weights_of[QLORA_MAX_TERMS];   // and weights
  int32_t terms;
  float beta, smoothing, margin, temperature, alpha, desirable_weight, undesirable_weight, scale;
  qlora_tensor log_probs, reference, lengths, desirable, slopes;  // reference, desirable: optional
  qlora_tensor kl, kl_reference;                                  // optional
  qlora_tensor losses, share, fit, weights;                       // fit, weights: optional
  qlora_tensor starts;                                            // I32 [1, sequences + 1]
  qlora_tensor stats;                                             // F32 [1, QLORA_STATS]
} qlora_preference;

// The losses of sampled completions, numbered as bindings.PolicyLoss, and the elements of the stats.
enum { QLORA_POLICY_CLIP, QLORA_POLICY_CISPO, QLORA_POLICY_SAPO, QLORA_POLICY_VESPO };
enum {
  QLORA_POLICY_STAT_LOSS,
  QLORA_POLICY_STAT_KL,
  QLORA_POLICY_STAT_LOW,
  QLORA_POLICY_STAT_HIGH,
  QLORA_POLICY_STAT_REGION,
  QLORA_POLICY_STAT_LEAST_LOW,
  QLORA_POLICY_STAT_MOST_HIGH,
  QLORA_POLICY_STAT_PHI,
  QLORA_POLICY_STAT_ENTROPY,
  QLORA_POLICY_STAT_BATCHES,
  QLORA_POLICY_STAT_SCORED,
  QLORA_POLICY_STATS
};

// bindings.Policy: vectors in F32 of the tokens, and the sequences' advantages.
typedef struct {
  int32_t loss, of_sequences, kl_by_ratio;
  float beta, low, high, delta, least, far, scale;
  float temperature[2], power[2], decay[2];  // of positive and of other advantages
  qlora_tensor losses, share;
  qlora_tensor old, reference, entropies, weights;  // optional
  qlora_tensor advantages;
  qlora_tensor starts;  // I32 [1, sequences + 1]
  qlora_tensor stats;   // F32 [1, QLORA_POLICY_STATS]
} qlora_policy;

// y = x·gain[col]/divisor[col] - less, each optional; y may be x or less.
typedef struct {
  qlora_tensor x, y;           // F32 or BF16 [rows, cols], the same type
  qlora_tensor gain, divisor;  // F32 [1, cols]
  qlora_tensor less;           // as x
} qlora_scale_columns;

// sum[j] += sum over i of x[i][j]·with[i][j]/divisor[j]; x and with are BF16, with and divisor
// optional.
typedef struct {
  qlora_tensor x, with, divisor, sum;
  qlora_tensor workspace;  // F32 [pieces, cols], one partial sum per piece of the rows
} qlora_sum_rows;

// x[t] *= factors[t]; x is BF16.
typedef struct {
  qlora_tensor x;
  qlora_tensor factors;  // F32 [1, rows]
} qlora_scale_rows;

// y[t] = sum of x[rows[j]] for starts[t] <= j < starts[t+1], see bindings.Gather; x and y are BF16
// and may be views of columns in groups.
typedef struct {
  qlora_tensor x, y;
  qlora_tensor rows;    // I32
  qlora_tensor starts;  // I32 [1, rows of y + 1]; absent: y[t] = x[rows[t]]
} qlora_gather;

// Row i of src goes to row i of dst or, with rows, to row rows[i]. Both may be views of columns in
// groups.
typedef struct {
  qlora_tensor dst, src;
  qlora_tensor rows;  // I32 [1, rows of src]; optional
} qlora_copy;

// ---- optimizer ------------------------------------------------------------------------------

enum { QLORA_ADAMW, QLORA_LION, QLORA_SGD };

// One trained tensor of n elements; see bindings.Param. Moments are F32, or U8 codes with absmax
// in blocks of 256. Absent ones are NULL.
typedef struct {
  int64_t n;
  float* master;
  void* value;  // NULL if the forward pass reads the master
  int32_t value_dtype;
  const float* grad;
  void *m, *v;
  float *m_absmax, *v_absmax;  // if present, the moment is in 8 bits
  float lr, decay;             // decay: 1 - lr·weight_decay (AdamW, Lion), or weight decay (SGD)
} qlora_param;

// Parameters are split into pieces of QLORA_PIECE elements, one block each; the last piece of a
// parameter may be short.
enum { QLORA_PIECE = 16384 };

// Steps all parameters in one launch. table is device memory of count·sizeof(qlora_param) bytes
// plus (count+1)·8 for the piece numbers.
typedef struct {
  const qlora_param* params;  // host memory, read before the call returns
  int32_t count;
  int32_t rule;
  // AdamW and Lion: betas; SGD: momentum, dampening.
  float beta1, beta2, one_minus_beta1, one_minus_beta2, eps;
  float correction1, correction2_sqrt;     // AdamW: 1 - beta1^t, sqrt(1 - beta2^t)
  int32_t first_step, nesterov;            // SGD
  const float* clip;                       // [2]; the factor is clip[1]; not finite: no update
  const float *map_signed, *map_unsigned;  // [256] on the device; for 8-bit moments
  qlora_tensor table;
} qlora_optimize;

enum { QLORA_FOLD, QLORA_UNFOLD, QLORA_ROUND };

// A step of gradients in fixed point, see bindings.Fold. Of a parameter it reads n, grad, which
// fold, unfold and round all write, and m, its int64 sums (not for round).
typedef struct {
  const qlora_param* params;
  int32_t count;
  int32_t step;
  float limit;
  int64_t* mark;       // NULL for round
  qlora_tensor table;  // as qlora_optimize's
} qlora_fixed_point;

// out = [norm, factor] of all gradients as one vector, see bindings.GradNorm.
typedef struct {
  const qlora_param* params;
  int32_t count;
  float max;
  float* out;
  qlora_tensor table;  // as qlora_optimize's, plus 8 bytes per piece for its partial sum
} qlora_grad_norm;

// ---- the table ------------------------------------------------------------------------------

typedef struct qlora_context qlora_context;

typedef struct {
  char name[128];    // "NVIDIA H200", "emulator"
  char bus_id[32];   // PCI, as NVML has it; empty on the emulator
  char version[64];  // of driver and runtime
  int32_t compute;   // 90 for sm_90
  int32_t processors;
  int32_t shared_bytes;  // maximum per block
  int64_t memory_bytes, free_bytes, l2_bytes;
} qlora_info;

// What a context is opened with. Zeros are the defaults.
typedef struct {
  // A part of kernels' names, for tests. Among kernels that compute the same, the one with this part
  // in its name runs whatever the shape, where there is one: "128x256" is a tile of products,
  // "elements" the kernels for operands that are not aligned, "general" the instances with every
  // feature. Products, and the kernels for elements, have the same bits with any of them. NULL: the
  // fastest for the shape. A part that no kernel has is refused.
  const char* variant;
  // Emulator only: the device that it takes itself for. 0: 16 multiprocessors of capability 80.
  int32_t processors, compute;
  // Emulator only: count accesses to memory, too; or check and count launches, and run nothing, with
  // memory of zeros that take no room.
  int32_t counting, dry;
} qlora_options;

// What the launches of a kernel have come to since the context was opened: how many there were, and
// on an emulator that counts, the accesses to memory by warps and what a GPU would need for them.
// Shared memory serves a word of 4 bytes of each of 32 banks in a wavefront; device memory is moved
// in sectors of 32 bytes. The least is what the same bytes would take if they lay side by side.
typedef struct {
  int64_t launches;
  int64_t shared_accesses, wavefronts, least_wavefronts;
  int64_t global_accesses, sectors_read, sectors_written, least_sectors;
} qlora_counts;

// An extent of device memory that kernels may access until the next call of extents: the first
// `span` bytes of every `stride`, and of those the first `width` of every `period`. Stride 0: all
// of it; period 0: all of the span.
typedef struct {
  const void* data;
  int64_t bytes;
  const char* name;  // read before the call returns
  int64_t stride, span, period, width;
} qlora_extent;

// Bytes to copy between the device's memory and allocate_host's, next to the work of the stream. The
// copy begins when the work enqueued so far is done; copies run in order. Its event, 1 to
// QLORA_EVENTS or 0 for none, then stands for this copy and those before it: see await.
enum { QLORA_EVENTS = 8 };
typedef struct {
  void* dst;
  const void* src;
  int64_t bytes;
  int32_t to_host;  // dst is the host's
  int32_t event;
} qlora_transfer;

// A kernel's static properties.
typedef struct {
  const char* name;      // as launched
  int32_t threads;       // of a block
  int32_t shared_bytes;  // dynamic, the maximum of any launch
  const void* function;  // its address in the library (on a GPU: of its host stub)
} qlora_kernel;

typedef struct {
  uint32_t abi;
  const char* build;  // "cuda 13.0, driver 580 or newer" or "emulator"

  int (*open)(int device, const qlora_options*, qlora_context** context);  // NULL: the defaults
  void (*close)(qlora_context*);
  const char* (*error)(qlora_context*);  // NULL context: of this thread's last open
  int (*info)(qlora_context*, qlora_info*);

  int (*allocate)(qlora_context*, int64_t bytes, void** data);  // zeroed
  int (*release)(qlora_context*, void* data);
  int (*write)(qlora_context*, void* dst, const void* src, int64_t bytes);  // src free at return
  int (*read)(qlora_context*, void* dst, const void* src, int64_t bytes);   // waits
  int (*zero)(qlora_context*, void* dst, int64_t bytes);
  int (*move)(qlora_context*, void* dst, const void* src, int64_t bytes);  // on the device
  int (*sync)(qlora_context*);  // the first error since the last sync, kernels' errors included
  int (*mark)(qlora_context*, int which);               // records event 0 or 1
  int (*elapsed)(qlora_context*, float* milliseconds);  // from mark 0 to mark 1; waits
  // The stream, a cudaStream_t, for libraries that enqueue work of their own, and makes the GPU the
  // calling thread's. NULL on the emulator, where nothing is enqueued.
  int (*stream)(qlora_context*, void** stream);

  int (*allocate_host)(qlora_context*, int64_t bytes, void** data);  // pinned and zeroed
  int (*release_host)(qlora_context*, void* data);
  int (*transfer)(qlora_context*, const qlora_transfer*);
  // Work enqueued later waits for the last transfer with the event, and those before it.
  int (*await)(qlora_context*, int32_t event);
  // Bytes that come to dst from elsewhere, next to the work of the stream. aside returns where they are to
  // be written, by work on another stream, a cudaStream_t, that begins when the work enqueued so far is
  // done. fetch enqueues a copy there of what another context, which has called aside too, had at src then.
  // arriving ends what began with aside: await of the event, 1 to QLORA_EVENTS, waits for all of it. On the
  // emulator the stream is NULL, nothing is enqueued, and the bytes come to dst when they are awaited.
  int (*aside)(qlora_context*, void* dst, int64_t bytes, void** stream, void** to);
  int (*fetch)(qlora_context*, qlora_context* from, void* to, const void* src, int64_t bytes);
  int (*arriving)(qlora_context*, int32_t event);
  // From capture to captured the kernels, zero, move, transfer and await are recorded instead of
  // run, and nothing may be written, read or waited for by the host; each transfer is awaited.
  // captured returns the record as a graph, with the bytes of device memory that it takes; after an
  // error there is no graph, and the context captures no more. replay enqueues a graph's work with
  // the addresses and numbers that it was recorded with: the results change with what lies there.
  // drop frees a graph after its work.
  int (*capture)(qlora_context*);
  int (*captured)(qlora_context*, void** graph, int64_t* bytes);
  int (*replay)(qlora_context*, void* graph);
  int (*drop)(qlora_context*, void* graph);

  // Emulator only (no effect on a GPU): the memory that kernels may access (count 0: all
  // allocations), and the order of blocks and threads: 0 ascending, 1 descending, others seed
  // random orders.
  int (*extents)(qlora_context*, const qlora_extent* list, int32_t count);
  int (*schedule)(qlora_context*, uint64_t seed);

  // Kernels by number, from 0 until NULL, and a context's counts of one.
  const qlora_kernel* (*kernel)(int number);
  int (*counts)(qlora_context*, int number, qlora_counts*);

  int (*gemm)(qlora_context*, const qlora_gemm*);
  int (*gemm_parts)(qlora_context*, const qlora_gemm_parts*);
  int (*gemv)(qlora_context*, const qlora_gemv*);
  int (*pull_parts)(qlora_context*, const qlora_pull_parts*);
  int (*decode)(qlora_context*, const qlora_decode*);
  int (*decode_parts)(qlora_context*, const qlora_decode_parts*);
  int (*quantize)(qlora_context*, const qlora_quantize*);
  int (*nest)(qlora_context*, const qlora_nest*);
  int (*row_norms)(qlora_context*, const qlora_row_norms*);
  int (*check_range)(qlora_context*, const qlora_check_range*);
  int (*embed)(qlora_context*, const qlora_embed*);
  int (*embed_backward)(qlora_context*, const qlora_embed_backward*);
  int (*norm)(qlora_context*, const qlora_norm*);
  int (*norm_backward)(qlora_context*, const qlora_norm_backward*);
  int (*rope)(qlora_context*, const qlora_rope*);
  int (*extend)(qlora_context*, const qlora_extend*);
  int (*activate)(qlora_context*, const qlora_activate*);
  int (*activate_backward)(qlora_context*, const qlora_activate_backward*);
  int (*add)(qlora_context*, const qlora_add*);
  int (*clamp)(qlora_context*, const qlora_clamp*);
  int (*attend)(qlora_context*, const qlora_attend*);
  int (*attend_decode)(qlora_context*, const qlora_attend*);
  int (*attend_backward)(qlora_context*, const qlora_attend_backward*);
  int (*cross_entropy)(qlora_context*, const qlora_cross_entropy*);
  int (*loss_stats)(qlora_context*, const qlora_loss_stats*);
  int (*log_probs)(qlora_context*, const qlora_log_probs*);
  int (*preference)(qlora_context*, const qlora_preference*);
  int (*policy)(qlora_context*, const qlora_policy*);
  int (*scale_columns)(qlora_context*, const qlora_scale_columns*);
  int (*sum_rows)(qlora_context*, const qlora_sum_rows*);
  int (*scale_rows)(qlora_context*, const qlora_scale_rows*);
  int (*gather)(qlora_context*, const qlora_gather*);
  int (*copy)(qlora_context*, const qlora_copy*);
  int (*fixed_point)(qlora_context*, const qlora_fixed_point*);
  int (*grad_norm)(qlora_context*, const qlora_grad_norm*);
  int (*optimize)(qlora_context*, const qlora_optimize*);
} qlora_api;

// Returns the table, or NULL if the library was built for another QLORA_ABI.
const qlora_api* qlora_get_api(uint32_t abi);

#ifdef __cplusplus
}
#endif
#endif  // QLORA_H
