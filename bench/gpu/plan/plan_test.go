package plan

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlanOfTheScripts checks that the scripts for the peers measure the same, and count
// the same operations and bytes.
func TestPlanOfTheScripts(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("no Python on this machine: %v", err)
	}
	out, err := exec.Command(python, "-B", "../peers.py", "--dry-run").Output()
	require.NoError(t, err)
	all := All()
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); all = all[1:] {
		require.NotEmpty(t, all, "the scripts measure more: %s", lines.Text())
		var line struct {
			What              string
			Shape             map[string]int64
			Operations, Bytes float64
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		require.Equal(t, all[0].What, line.What)
		shape := map[string]int64{}
		for _, f := range all[0].Shape {
			shape[f.Name] = f.Value
		}
		require.Equal(t, shape, line.Shape)
		operations, moved := all[0].Cost()
		require.InDelta(t, operations, line.Operations, 0, all[0].Name())
		require.InDelta(t, moved, line.Bytes, 0, all[0].Name())
	}
	require.Empty(t, all, "the scripts measure less")
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		require.False(t, seen[m.Name()], "%s is there twice", m.Name())
		seen[m.Name()] = true
		got, err := Parse(m.Name())
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	m, err := Parse("gemm-forward/tokens=3/in=1/out=2")
	require.NoError(t, err)
	require.Equal(t, "gemm-forward/in=1/out=2/tokens=3", m.Name())
	for name, want := range map[string]string{
		"step/model=8b":                        `"step" is not an operation of the plan`,
		"decode/in=4":                          "decode: the shape must have in, out, each above 0",
		"decode/in=4/width=5":                  "the shape must have in, out",
		"decode/in=4/out=4/tokens=4":           "the shape must have in, out",
		"decode/in=4/out=x":                    "the shape must have in, out",
		"decode/in=4/out=0":                    "the shape must have in, out",
		"decode":                               "the shape must have in, out",
		"gemm-forward/in=1/in=1/out=2":         "the shape must have in, out, tokens",
		"gemm-forward/in=1/out=2/tokens=30-16": "the shape must have in, out, tokens",
	} {
		_, err := Parse(name)
		require.ErrorContains(t, err, want, name)
	}
}

// TestCost compares the costs of small shapes with counts by hand.
func TestCost(t *testing.T) {
	for name, want := range map[string][2]float64{
		"copy/bytes=5":                            {0, 10},
		"gemm-forward/in=3/out=5/tokens=2":        {60, 2 * (15 + 6 + 10)},
		"gemm-input-gradient/in=3/out=5/tokens=2": {60, 2 * (15 + 6 + 10)},
		"nf4-forward/in=64/out=2/tokens=1":        {256, 64 + 8 + 2*66},
		"nf4-input-gradient/in=64/out=2/tokens=1": {256, 64 + 8 + 2*66},
		"decode/in=64/out=2":                      {0, 64 + 8 + 256},
		"cross-entropy/tokens=3/vocabulary=7":     {0, 84},
		"adamw/parameters=10/tensors=2":           {0, 280},
		"adamw-8bit/parameters=256/tensors=2":     {0, 256*12 + 4*(256+4)},
		// Two heads of width 4 on one: row 0 attends to itself, row 1 to both. Q, O, K,
		// V and the rows' sums.
		"attention-forward/heads=2/kv_heads=1/head_dim=4/tokens=2":  {2 * 3 * 2 * 2 * 4, 16*(2*2+2) + 16},
		"attention-backward/heads=2/kv_heads=1/head_dim=4/tokens=2": {2 * 3 * 5 * 2 * 4, 16*(4*2+4) + 16},
	} {
		m, err := Parse(name)
		require.NoError(t, err)
		operations, moved := m.Cost()
		require.Equal(t, want, [2]float64{operations, moved}, name)
	}
}

func TestOf(t *testing.T) {
	got := Of(Decode, CrossEntropy)
	require.Len(t, got, 14+3)
	require.Equal(t, int64(128256), got[16].Get("vocabulary"))
	require.Panics(t, func() { got[0].Get("tokens") })
}
