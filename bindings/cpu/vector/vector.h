// The inner loops that Go's compiler does not vectorise. See vector.go.
#include <stdint.h>

float vector_max(const float *x, long n);
double vector_exp_sum(float *x, long n, float shift);
void vector_probabilities(float *p, float *dp, long n, float lse, float delta);
void vector_activate(int kind, float *y, const float *g, const float *u, long n);
void vector_activate_backward(int kind, float *dg, float *du, const float *g, const float *u, const float *dy, long n);
void vector_cap(float *x, long n, float limit);
void vector_scale(float *x, long n, float factor);
void vector_add(float *x, long n, float term);
double vector_sum(const float *x, long n);
void vector_dequantize(float *dst, const uint8_t *codes, long n, const float *values, const float *scales, long block);
void vector_dropout_factors(float *dst, long n, const uint32_t *key, uint32_t block, uint32_t row, uint32_t stream, uint32_t step, uint32_t threshold, float scale);
void vector_mask(float *dst, const float *x, const float *factors, long n);
void vector_add_mask(float *dst, const float *x, const float *factors, long n);
void vector_widen_bf16(float *dst, const uint16_t *src, long n);
