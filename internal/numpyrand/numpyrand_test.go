package numpyrand

import "testing"

// TestPermutation compares with numpy 2.4: the first numbers, and the sum of each number
// times its place from 1.
func TestPermutation(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		n    int
		sum  int
		head []int
	}{
		{42, 10, 261, []int{5, 6, 0, 7, 3, 2, 4, 9, 1, 8}},
		{0, 1, 0, []int{0}},
		{7, 2, 2, []int{0, 1}},
		{1234567890123456789, 12, 468, []int{5, 3, 0, 9, 8, 7, 2, 6, 4, 11, 1, 10}},
		{42, 1000, 248821039, []int{978, 933, 859, 916, 127, 608, 856, 260, 147, 810, 635, 972}},
		{1 << 32, 33, 9242, []int{20, 1, 15, 5, 17, 16, 11, 29, 28, 23, 31, 22}},
		{3, 1000003, 250011071359374610, []int{100647, 48044, 236414, 686042, 984279}},
	} {
		p, sum := Permutation(c.seed, c.n), 0
		for i, x := range p {
			sum += x * (i + 1)
		}
		if sum != c.sum {
			t.Errorf("seed %d, %d: got the sum %d, want %d", c.seed, c.n, sum, c.sum)
		}
		for i, want := range c.head {
			if p[i] != want {
				t.Errorf("seed %d, %d: number %d: got %d, want %d", c.seed, c.n, i, p[i], want)
			}
		}
	}
}
