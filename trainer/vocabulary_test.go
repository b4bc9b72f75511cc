package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/trainer/dataset"
)

// openTied opens a tied base.
func openTied(t *testing.T, r *Run) {
	t.Helper()
	m, err := OpenBase(filepath.Join(parityFolder, "models", "narrow-tied"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.Lora, r.Base = r.Base.Lora, m
}

// vocabularies change what is trained of the embedding and the head.
var vocabularies = map[string]func(t *testing.T, r *Run){
	"adapters": func(_ *testing.T, r *Run) { r.Base.Lora.Targets = lora.ParseTargets("q_proj,embed_tokens,lm_head") },
	"adapters, tied": func(t *testing.T, r *Run) {
		openTied(t, r)
		r.Base.Lora.Targets = lora.ParseTargets("q_proj,embed_tokens,lm_head")
	},
	"tokens": func(_ *testing.T, r *Run) { r.Base.Lora.Tokens = lora.TrainableTokens{IDs: []int32{3, 7, 8, 20}} },
	"tokens, tied": func(t *testing.T, r *Run) {
		openTied(t, r)
		r.Base.Lora.Tokens = lora.TrainableTokens{IDs: []int32{3, 7, 8, 20}}
	},
	"new tokens": enlarge,
	"new tokens, tied": func(t *testing.T, r *Run) {
		openTied(t, r)
		enlarge(t, r)
	},
	"new tokens, whole modules": func(t *testing.T, r *Run) {
		r.Base.Lora.ModulesToSave = []string{"embed_tokens", "lm_head"}
		enlarge(t, r)
	},
	"new tokens, adapters": func(t *testing.T, r *Run) {
		r.Base.Lora.Targets = lora.ParseTargets("q_proj,embed_tokens,lm_head")
		enlarge(t, r) // which trains no rows apart
	},
}

// resize adds five rows, and has the records use them.
func resize(t *testing.T, r *Run) (fresh []int32) {
	t.Helper()
	had := r.Base.Config.Vocabulary
	require.NoError(t, r.Base.ResizeTokens(had+5))
	for i := range 5 {
		fresh = append(fresh, int32(had+i))
	}
	for _, set := range [][]dataset.Example{r.TrainSet, r.EvalSet} {
		for i := range set {
			set[i].IDs[4], set[i].Labels[4] = fresh[i%5], fresh[i%5]
		}
	}
	return fresh
}

func enlarge(t *testing.T, r *Run) {
	t.Helper()
	r.Base.TrainTokens(resize(t, r))
}

// TestVocabularies trains rows of the embedding and the head, adapters on them, and
// tokens that the base does not have. A resumed run has the same bits, and the folder on
// the base as it is has the run's final loss.
func TestVocabularies(t *testing.T) {
	for name, change := range vocabularies {
		t.Run(name, func(t *testing.T) {
			r := tinyRun(t)
			folder := r.Base.Folder
			change(t, &r)
			if r.Base.Folder != folder {
				folder = r.Base.Folder
			}
			r.Args.MaxSteps, r.Args.EvalSteps, r.Args.SaveSteps = 8, 4, 4
			require.NoError(t, train(t, t.Context(), r))
			want := outcome(t, r.Args.OutputDir)
			losses := evalLosses(history(t, r.Args.OutputDir))
			require.Less(t, float64(losses[len(losses)-1]), float64(losses[0]), "the model does not learn")

			again := r
			again.Args.OutputDir = filepath.Join(t.TempDir(), "out")
			again = interrupted(t, again, 5)
			require.NoError(t, train(t, t.Context(), again))
			got := outcome(t, again.Args.OutputDir)
			for name := range want {
				assert.True(t, want[name] == got[name], "%s differs from the uninterrupted run's", name)
			}

			m, err := OpenBase(folder)
			require.NoError(t, err)
			defer m.Close()
			m.Quantize = r.Base.Quantize
			require.NoError(t, m.UseAdapter(r.Args.OutputDir))
			require.Equal(t, r.Base.Config.Vocabulary, m.Config.Vocabulary)
			read := r
			read.Base = m
			assert.Equal(t, float64(losses[len(losses)-1]), evaluated(t, read, *m.Lora, r.Args.OutputDir), "the folder's loss")
		})
	}
}

// TestUntrainedTokens checks that rows of new tokens that nothing trains are found.
func TestUntrainedTokens(t *testing.T) {
	for _, c := range []struct {
		change func(*lora.Config)
		tied   bool
		want   []string
	}{
		{func(*lora.Config) {}, false, []string{"model.embed_tokens", "lm_head"}},
		{func(*lora.Config) {}, true, []string{"model.embed_tokens", "lm_head"}},
		{func(c *lora.Config) { c.ModulesToSave = []string{"embed_tokens"} }, false, []string{"lm_head"}},
		{func(c *lora.Config) { c.ModulesToSave = []string{"embed_tokens"} }, true, nil},
		{func(c *lora.Config) { c.Tokens.IDs = []int32{5, 6} }, false, []string{"lm_head"}},
		{func(c *lora.Config) { c.Tokens.IDs = []int32{6, 5} }, true, nil},
		{func(c *lora.Config) { c.Tokens.IDs = []int32{6} }, true, []string{"model.embed_tokens", "lm_head"}},
		{func(c *lora.Config) { c.Targets = lora.ParseTargets("q_proj,embed_tokens,lm_head") }, false, nil},
		{func(c *lora.Config) {
			c.Tokens.Modules = map[string][]int32{"embed_tokens": {5, 6}, "lm_head": {5, 6}}
		}, false, nil},
	} {
		r := tinyRun(t)
		if c.tied {
			openTied(t, &r)
		}
		c.change(r.Base.Lora)
		require.Equal(t, c.want, r.Base.UntrainedTokens([]int32{5, 6}))
	}
}

// TestVocabulariesAreRefused checks settings of the embedding and the head that do not
// go together.
func TestVocabulariesAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"has rows 0 to 95": func(r *Run) { r.Base.Lora.Tokens.IDs = []int32{96} },
		"has 5 twice":      func(r *Run) { r.Base.Lora.Tokens.IDs = []int32{5, 5} },
		"is in modules_to_save, which trains all its rows": func(r *Run) {
			r.Base.Lora.Tokens.IDs, r.Base.Lora.ModulesToSave = []int32{5}, []string{"embed_tokens"}
		},
		"\"norm\" is neither the embedding": func(r *Run) { r.Base.Lora.Tokens.Modules = map[string][]int32{"norm": {1}} },
		"its module has an adapter, too": func(r *Run) {
			r.Base.Lora.Tokens.IDs, r.Base.Lora.Targets = []int32{5}, lora.ParseTargets("q_proj,embed_tokens")
		},
		"`use_dora` is true, but it is not supported on the embedding": func(r *Run) {
			r.Base.Lora.DoRA, r.Base.Lora.Targets = true, lora.ParseTargets("q_proj,lm_head")
		},
		"it is for linear layers: leave the embedding": func(r *Run) {
			r.Base.Lora.Init, r.Base.Lora.Targets = lora.InitPiSSA, lora.ParseTargets("q_proj,lm_head")
		},
	} {
		r := tinyRun(t)
		change(&r)
		_, err := New(r)
		assert.ErrorContains(t, err, want)
	}
	r := tinyRun(t)
	openTied(t, &r)
	r.Base.Lora.Targets, r.Base.Lora.TieWeights = lora.ParseTargets("q_proj,embed_tokens"), true
	_, err := New(r)
	assert.ErrorContains(t, err, "that the embedding and the head share is not trained")
}
