// Rows of a table of embeddings with noise, and the table's gradient.

// The noise of the masked/2 columns from col on, uniform in [-bound, bound): four columns
// share a counter.
INLINE void draw_noise(float *noise, const struct noise *d, long col, uint32_t row) {
	numbers n = philox(d->key, (uint32_t)(col / 4), row, d->stream, d->step);
	for (int w = 0; w < 4; w++)
		for (int j = 0; j < counters; j++) noise[4 * j + w] = d->bound * ((float)(n.words[w][j] >> 8) * 0x1p-23f - 1);
}

// y (+)= scale·(x + noise)
INLINE void embedded(int type, void *y, int table, const void *x, long n, int accumulate, float scale, const struct noise *d, uint32_t row) {
	float noise[4 * counters];
	if (type == table && !accumulate && scale == 1 && !d) {
		memcpy(y, x, n * (type == F32 ? sizeof(float) : sizeof(uint16_t)));
		return;
	}
	for (long from = 0; from < n; from += 4 * counters) {
		long to = n - from < 4 * counters ? n : from + 4 * counters;
		if (d) draw_noise(noise, d, from, row);
		for (long i = from; i < to; i += LANES) {
			floats v = get(table, x, i, to);
			if (d) v += load(noise + i - from, to - i, 0);
			v *= scale;
			put(type, y, i, to, accumulate ? get(type, y, i, to) + v : v);
		}
	}
}

static void embed(int type, struct rows y, int table, struct rows x, const int32_t *ids, long rows, long cols, int accumulate, float scale,
		  const struct noise *d, uint32_t first) {
	for (long t = 0; t < rows; t++)
		FOR_FLOAT(table, {
			enum { TABLE = T };
			FOR_ACTIVATION(type, embedded(T, row(T, y, t), TABLE, row(TABLE, x, ids[t]), cols, accumulate, scale, d, first + (uint32_t)t));
		});
}

// table[ids[t]] += scale·dy[t], in the order of the tokens
static void embed_backward(float *table, long stride, int type, struct rows dy, const int32_t *ids, long rows, long cols, int32_t pad, float scale) {
	for (long t = 0; t < rows; t++)
		if (ids[t] != pad) FOR_ACTIVATION(type, added(table + ids[t] * stride, scale, T, row(T, dy, t), cols));
}
