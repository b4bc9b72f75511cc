package option

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

type ranged struct {
	Batch   int      `option:"batch"`
	Rate    float64  `option:"rate"`
	Share   *float64 `option:"share"`
	Weights []string `option:"weights"`
	Seed    uint64   `option:"seed"`
	Other   int
}

func (*ranged) Ranges() Ranges {
	return Ranges{"batch": From(1, 64), "rate": Above(0, 10), "share": Share(), "weights": Above(0, 2), "seed": From(0, 9)}
}

func TestCheckRanges(t *testing.T) {
	one := 1.0
	good := ranged{Batch: 64, Rate: 10, Weights: []string{"1", "2"}}
	require.NoError(t, CheckRanges(&good))
	for want, bad := range map[string]ranged{
		"`batch` is 0, but it must be from 1 to 64":                                    {Rate: 1},
		"`batch` is 9223372036854775807, but it must be from 1 to 64":                  {Batch: math.MaxInt, Rate: 1},
		"`rate` is 0, but it must be above 0 and at most 10":                           {Batch: 1},
		"`rate` is NaN, but it must be above 0 and at most 10":                         {Batch: 1, Rate: math.NaN()},
		"`share` is 1, but it must be at least 0 and below 1":                          {Batch: 1, Rate: 1, Share: &one},
		"`weights` is \"3\", but every value must be a number above 0 and at most 2":   {Batch: 1, Rate: 1, Weights: []string{"1", "3"}},
		"`weights` is \"NaN\", but every value must be a number above 0 and at most 2": {Batch: 1, Rate: 1, Weights: []string{"NaN"}},
		"`weights` is \"x\", but every value must be a number above 0 and at most 2":   {Batch: 1, Rate: 1, Weights: []string{"x"}},
		"`seed` is 10, but it must be from 0 to 9":                                     {Batch: 1, Rate: 1, Seed: 10},
	} {
		require.EqualError(t, CheckRanges(&bad), want)
	}
	require.Equal(t, "above -1 and below 1000000", Range{Low: -1, High: 1e6, Above: true, Below: true}.String())
	require.Error(t, From(0, 1).Check("x", reflect.ValueOf("text")))
}
