// Sums in a fixed order, whatever LANES is: element i is added to lane i mod 16, and the
// lanes are added in pairs.
enum { wide = 16 };

// Sixteen sums in double.
typedef struct {
	doubles lanes[2 * wide / LANES];
} sums;

// Adds the products of two groups, which are exact.
INLINE void add_products(sums *s, int k, floats a, floats b) {
	int at = 2 * k;
	s->lanes[at] += lower(a) * lower(b);
	s->lanes[at + 1] += upper(a) * upper(b);
}

INLINE void add_group(sums *s, int k, floats a) {
	int at = 2 * k;
	s->lanes[at] += lower(a);
	s->lanes[at + 1] += upper(a);
}

// Adds squares of the differences from mean.
INLINE void add_squares(sums *s, int k, floats a, double mean) {
	int at = 2 * k;
	doubles low = lower(a) - mean, high = upper(a) - mean;
	s->lanes[at] += low * low;
	s->lanes[at + 1] += high * high;
}

// Loops over the groups of the elements [from, to), for the lane k·LANES: those from i on.
#define EACH_GROUP(i, k, from, to)                       \
	for (long i##0 = from; i##0 < to; i##0 += wide) \
		for (long k = 0, i = i##0; k < wide / LANES && i < to; k++, i += LANES)

// Returns the sum; rest has an addend for each lane, or is null.
INLINE double total(const sums *s, const double *rest) {
	double x[wide];
	memcpy(x, s->lanes, sizeof x);
	for (int j = 0; rest && j < wide; j++) x[j] += rest[j];
	for (int step = wide / 2; step > 0; step /= 2)
		for (int j = 0; j < step; j++) x[j] += x[j + step];
	return x[0];
}

static double dot(const float *x, const float *y, long n) {
	sums s = {0};
	EACH_GROUP(i, k, 0, n) add_products(&s, k, load(x + i, n - i, 0), load(y + i, n - i, 0));
	return total(&s, NULL);
}

// The number of elements that each lane sums in float before it adds to a double.
enum { strand = 64 };

// Sixteen sums in float, of a strand.
typedef struct {
	floats lanes[wide / LANES];
} strands;

INLINE double total_strand(const strands *s) {
	sums in_double;
	for (int k = 0; k < wide / LANES; k++) {
		in_double.lanes[2 * k] = lower(s->lanes[k]);
		in_double.lanes[2 * k + 1] = upper(s->lanes[k]);
	}
	return total(&in_double, NULL);
}

// Loops over strands of n elements, those from i on.
#define EACH_STRAND(i, to, n) for (long i = 0, to; to = n - i < strand * wide ? n : i + strand * wide, i < n; i = to)
