package llamacpp_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
	"qlora/internal/llamacpp"
	"qlora/nn"
	"qlora/nn/family"
)

// TestFilesAreReadAsTheirFolders reads each case's GGUF file as the converter makes it, and
// compares the model and all tensors with those of the Hugging Face folder.
func TestFilesAreReadAsTheirFolders(t *testing.T) {
	for _, name := range cases(t) {
		if lossy[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			made, f := readCase(t, name)
			m, err := llamacpp.FromConfig(f.config)
			require.NoError(t, err)
			base, err := checkpoint.Open(made.write(t, name, m, f))
			require.NoError(t, err)
			defer base.Close()

			want, err := family.ParseConfig(f.config)
			require.NoError(t, err)
			got, err := family.ParseConfig(base.Config())
			require.NoError(t, err, "%s", base.Config())
			header, err := m.Header()
			require.NoError(t, err)
			sameModel(t, want, got, base, len(header.Notes) > 0)
			require.Empty(t, got.Note)

			seen := 0
			for _, source := range f.sources {
				stored := m.Stored(source.Name)
				if stored == "" {
					continue
				}
				seen++
				tensor, err := base.Tensor(stored)
				require.NoError(t, err)
				require.Equal(t, source.Shape, tensor.Shape, stored)
				values := make([]float32, tensor.Elements())
				tensor.Floats(values, 0)
				for i, x := range f.values[source.Name] {
					if d := x - values[i]; d > 1.2e-7 || d < -1.2e-7 { // 1 + w is rounded
						t.Fatalf("%s: element %d is %v, want %v", stored, i, values[i], x)
					}
				}
				checkPieces(t, tensor, values)
			}
			require.Len(t, base.Names(), seen)
		})
	}
}

// checkPieces reads a tensor in pieces that do not begin with a row.
func checkPieces(t *testing.T, tensor checkpoint.Tensor, want []float32) {
	t.Helper()
	got := make([]float32, 0, len(want))
	for from := 0; from < len(want); from += 37 {
		piece := make([]float32, min(37, len(want)-from))
		tensor.Floats(piece, from)
		got = append(got, piece...)
	}
	require.Equal(t, want, got, tensor.Name)
}

// unsaid are settings that GGUF has no key for and that change nothing but training.
func unsaid(c *nn.Config) {
	c.ModelType, c.Raw, c.Targets, c.DType, c.Note, c.Prefixes, c.Part, c.Beside = "", nil, nil, "", "", nil, "", nil
	c.BOS, c.EOS, c.Pad, c.Compose = 0, nil, 0, nil
}

// textPart is what names of a model with several parts have more.
var textPart = regexp.MustCompile(`language_model\.`)

// window is that of a layer's attention, which llama.cpp lacks in some architectures.
var window = regexp.MustCompile(`Window:\d+`)

func sameModel(t *testing.T, want, got *nn.Config, base checkpoint.Checkpoint, windowless bool) {
	t.Helper()
	a, b := want.Compose(), got.Compose()
	wantText, gotText := describe(reflect.ValueOf(a), 0), describe(reflect.ValueOf(b), 0)
	x, y := *want, *got
	unsaid(&x)
	unsaid(&y)
	require.Equal(t, fmt.Sprintf("%+v", x), fmt.Sprintf("%+v", y), "%s", base.Config())
	effective := func(text string) string {
		return window.ReplaceAllStringFunc(text, func(w string) string {
			if n, _ := strconv.Atoi(w[len("Window:"):]); windowless || n >= want.MaxPositions {
				return "Window:0"
			}
			return w
		})
	}
	require.Equal(t, effective(textPart.ReplaceAllString(wantText, "")), effective(gotText), "%s", base.Config())
}

// describe writes the exported fields of a model's parts.
func describe(v reflect.Value, depth int) string {
	if depth > 12 {
		return "…"
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return describe(v.Elem(), depth)
	case reflect.Struct:
		out := v.Type().Name() + "{"
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Name == "Dropout" || f.Name == "SumDrops" {
				continue
			}
			out += f.Name + ":" + describe(v.Field(i), depth+1) + " "
		}
		return out + "}\n"
	case reflect.Slice, reflect.Array:
		out := "["
		for i := range v.Len() {
			out += describe(v.Index(i), depth+1) + " "
		}
		return out + "]"
	case reflect.Func:
		return map[bool]string{true: "no func", false: "func"}[v.IsNil()]
	case reflect.Float32, reflect.Float64:
		return fmt.Sprintf("%.5g", v.Float())
	}
	return fmt.Sprint(v)
}
