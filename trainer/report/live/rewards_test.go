package live

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/trainer"
	"qlora/trainer/report"
)

// TestRewards checks that a page shows the rewards of training rows and of evaluations as they
// are logged, and those from before it was resumed.
func TestRewards(t *testing.T) {
	row := func(step int, prefix string, chosen, rejected float64) trainer.Row {
		r := trainer.Row{Record: trainer.Record{Step: step, Compared: map[string]trainer.Number{
			prefix + "rewards/chosen": trainer.Number(chosen), prefix + "rewards/rejected": trainer.Number(rejected),
			prefix + "rewards/margins": trainer.Number(chosen - rejected), prefix + "rewards/accuracies": 0.75, prefix + "logps/chosen": -9,
		}}}
		if prefix == "" {
			r.Loss, r.GradNorm, r.LearningRate = number(0.5), number(1), number(1e-5)
		} else {
			r.EvalLoss, r.EvalRuntime = number(0.5), number(1)
		}
		return r
	}
	p := listen(t)
	b := begin()
	b.OutputDir, b.Step, b.Resumed = t.TempDir(), 2, "out/checkpoint-2"
	before := []trainer.Row{row(2, "", 0.5, 0.25), row(2, "eval_", 1, 0.5)}
	for _, r := range before {
		b.State.LogHistory = append(b.State.LogHistory, r.Record)
	}
	writeLines(t, filepath.Join(b.OutputDir, report.MetricsFile), before)
	require.NoError(t, p.Start(b))
	r := follow(t, p)
	values := func(all []rewards) (list [][]any) {
		for _, m := range all {
			list = append(list, []any{m.Step, m.Evaluated, *m.Chosen, *m.Rejected, *m.Margin, *m.Accuracy})
		}
		return list
	}
	require.Equal(t, [][]any{
		{2, false, float32(0.5), float32(0.25), float32(0.25), float32(0.75)},
		{2, true, float32(1), float32(0.5), float32(0.5), float32(0.75)},
	}, values(r.run().Rewards))

	require.NoError(t, p.Log(row(4, "", 2, -1)))
	require.Equal(t, event{"rewards", `{"step":4,"evaluated":false,"chosen":2,"rejected":-1,"margin":3,"accuracy":0.75,"reward":null}`}, r.next())
	require.NoError(t, p.Log(row(4, "eval_", 2, -2)))
	require.Equal(t, event{"rewards", `{"step":4,"evaluated":true,"chosen":2,"rejected":-2,"margin":4,"accuracy":0.75,"reward":null}`}, r.next())
	require.Equal(t, "evaluation", r.next().name)
	require.Equal(t, "log", r.next().name)

	one := trainer.Row{Record: trainer.Record{Step: 6, Loss: number(1), Compared: map[string]trainer.Number{"rewards/chosen": 1, "kl": 0}}}
	require.NoError(t, p.Log(one)) // kto's, of one kind
	require.Equal(t, event{"rewards", `{"step":6,"evaluated":false,"chosen":1,"rejected":null,"margin":null,"accuracy":null,"reward":null}`}, r.next())
	sampled := trainer.Row{Record: trainer.Record{Step: 7, Loss: number(1), Compared: map[string]trainer.Number{"reward": 0.5, "rewards/exact/mean": 0.5}}}
	require.NoError(t, p.Log(sampled)) // grpo's
	require.Equal(t, event{"rewards", `{"step":7,"evaluated":false,"chosen":null,"rejected":null,"margin":null,"accuracy":null,"reward":0.5}`}, r.next())
	require.NoError(t, p.Log(trainer.Row{Record: trainer.Record{Step: 7, Loss: number(1)}}))
	require.Len(t, follow(t, p).run().Rewards, 6)

	for n := range maxRewards {
		require.NoError(t, p.Log(row(8+n, "", 1, 0)))
	}
	kept := follow(t, p).run().Rewards
	require.LessOrEqual(t, len(kept), maxRewards)
	require.Equal(t, 7+maxRewards, kept[len(kept)-1].Step)
}
