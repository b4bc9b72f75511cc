// Conversions between the types of elements, and sums of rows of any type.
INLINE void converted(int to, void *dst, int from, const void *src, long n) {
	for (long i = 0; i < n; i += LANES) put(to, dst, i, n, get(from, src, i, n));
}

static void convert(int to, struct rows dst, int from, struct rows src, long rows, long cols) {
	for (long t = 0; t < rows; t++) switch (to) {
		case F32: FOR_FLOAT(from, converted(F32, row(F32, dst, t), T, row(T, src, t), cols)); break;
		case BF16: FOR_FLOAT(from, converted(BF16, row(BF16, dst, t), T, row(T, src, t), cols)); break;
		default: FOR_FLOAT(from, converted(F16, row(F16, dst, t), T, row(T, src, t), cols)); break;
		}
}

INLINE void added(float *dst, float factor, int type, const void *x, long n) {
	for (long i = 0; i < n; i += LANES) store(dst + i, load(dst + i, n - i, 0) + factor * get(type, x, i, n), n - i);
}

static void add_scaled(float *dst, float factor, const float *x, long n) { added(dst, factor, F32, x, n); }
