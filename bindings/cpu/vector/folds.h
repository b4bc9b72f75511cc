// Sums and maxima of the sixteen lanes of a row, taken in halves.
INLINE floats swap_eights(floats v) {
#if LANES == 16
	return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
#else
	return v;
#endif
}
INLINE floats swap_fours(floats v) {
#if LANES == 16
	return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
#elif LANES == 8
	return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
#else
	return v;
#endif
}

INLINE floats larger(floats a, floats b) { return choose(a, b, b > a); }

INLINE float max_lanes(floats v) {
	if (LANES > 8) v = larger(v, swap_eights(v));
	if (LANES > 4) v = larger(v, swap_fours(v));
	float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
	return a > b ? a : b;
}

INLINE float total_pairs(const strands *s) {
	floats v[wide / LANES];
	memcpy(v, s->lanes, sizeof v);
	for (int step = wide / LANES / 2; step > 0; step /= 2)
		for (int k = 0; k < step; k++) v[k] += v[k + step];
	if (LANES > 8) v[0] += swap_eights(v[0]);
	if (LANES > 4) v[0] += swap_fours(v[0]);
	return (v[0][0] + v[0][2]) + (v[0][1] + v[0][3]);
}
