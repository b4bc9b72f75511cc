// Rotary position embeddings.

// Pairs x[i] with x[i + half].
INLINE void rotated_halves(int type, void *x, const float *cosine, const float *sine, long half, float sign) {
	for (long i = 0; i < half; i += LANES) {
		floats c = load(cosine + i, half - i, 0), s = load(sine + i, half - i, 0) * sign;
		floats a = get(type, x, i, half), b = get(type, x, half + i, 2 * half);
		put(type, x, i, half, a * c - b * s);
		put(type, x, half + i, 2 * half, b * c + a * s);
	}
}

#if LANES == 16
#define TWICE(v) __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)
#define SWAPPED(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif LANES == 8
#define TWICE(v) __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3)
#define SWAPPED(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define TWICE(v) __builtin_shufflevector(v, v, 0, 0, 1, 1)
#define SWAPPED(v) __builtin_shufflevector(v, v, 1, 0, 3, 2)
#endif

// Pairs x[2i] with x[2i + 1].
INLINE void rotated_neighbors(int type, void *x, const float *cosine, const float *sine, long half, float sign) {
	floats signs;
	for (int j = 0; j < LANES; j++) signs[j] = j % 2 ? sign : -sign;
	for (long i = 0; i < half; i += LANES / 2) {
		floats c = load(cosine + i, half - i, 0), s = load(sine + i, half - i, 0), v = get(type, x, 2 * i, 2 * half);
		put(type, x, 2 * i, 2 * half, v * TWICE(c) + SWAPPED(v) * (TWICE(s) * signs));
	}
}

INLINE void rotated(int type, struct rows x, struct heads h, const int32_t *positions, const float *cosine, const float *sine, long half, float sign,
		    int interleaved, long rows) {
	const long size = type == F32 ? 4 : 2;
	for (long t = 0; t < rows; t++) {
		const float *c = cosine + positions[t] * half, *s = sine + positions[t] * half;
		uint8_t *at = row(type, x, t);
		for (long i = 0; i < h.count; i++) {
			long column = i * h.dim;
			void *head = at + size * (column / h.width * h.period + column % h.width);
			if (interleaved)
				rotated_neighbors(type, head, c, s, half, sign);
			else
				rotated_halves(type, head, c, s, half, sign);
		}
	}
}

static void rope(int type, struct rows x, struct heads h, const int32_t *positions, const float *cosine, const float *sine, long half, float sign,
		 int interleaved, long rows) {
	FOR_ACTIVATION(type, rotated(T, x, h, positions, cosine, sine, half, sign, interleaved, rows));
}
