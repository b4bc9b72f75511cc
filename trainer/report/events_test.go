package report

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"qlora/trainer"
)

// A curve is the values of a tag by step.
type curve map[int]float32

// readCurves reads the event files of dir as TensorBoard does: in the order of their
// names, each discarding the steps that it restarts.
func readCurves(t *testing.T, dir string) (curves map[string]curve, files int) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	require.NoError(t, err)
	curves = map[string]curve{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for len(b) > 0 {
			n := binary.LittleEndian.Uint64(b)
			readEvent(t, b[12:12+n], curves)
			b = b[16+n:]
		}
	}
	return curves, len(paths)
}

func readEvent(t *testing.T, event []byte, curves map[string]curve) {
	step := 0
	eachField(t, event, func(number protowire.Number, varint uint64, content []byte) {
		switch number {
		case 2:
			step = int(varint)
		case 5:
			eachField(t, content, func(_ protowire.Number, _ uint64, value []byte) {
				var tag string
				eachField(t, value, func(number protowire.Number, fixed uint64, content []byte) {
					if number == 1 {
						tag = string(content)
						return
					}
					if curves[tag] == nil {
						curves[tag] = curve{}
					}
					curves[tag][step] = math.Float32frombits(uint32(fixed))
				})
			})
		case 7:
			for _, c := range curves {
				for at := range c {
					if at >= step {
						delete(c, at)
					}
				}
			}
		}
	})
}

func eachField(t *testing.T, message []byte, found func(number protowire.Number, value uint64, content []byte)) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		require.Positive(t, n)
		message = message[n:]
		var value uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			value = uint64(v)
		case protowire.Fixed64Type:
			value, n = protowire.ConsumeFixed64(message)
		default:
			content, n = protowire.ConsumeBytes(message)
		}
		require.Positive(t, n)
		message = message[n:]
		found(number, value, content)
	}
}

// TestEventsAreTheLog checks that an interrupted and resumed run's curves equal its log.
func TestEventsAreTheLog(t *testing.T) {
	for _, where := range []string{"", filepath.Join(t.TempDir(), "logs")} {
		r := tinyRun(t)
		r.Args.LoggingDir, r.Args.Resume = where, trainer.ResumeNewest
		dir := where
		if dir == "" {
			dir = filepath.Join(r.Args.OutputDir, "runs")
		}
		ctx, cancel := context.WithCancel(t.Context())
		r.Outputs = []trainer.Output{&stopper{after: 4, cancel: cancel}}
		require.ErrorIs(t, train(t, ctx, r), trainer.ErrInterrupted)
		// A run that reached step 6 and was killed before it saved.
		r.Outputs = nil
		killed := &events{dir: dir}
		require.NoError(t, killed.Start(&trainer.Begin{Step: 4, Args: &r.Args, Base: r.Base, State: new(trainer.State)}))
		require.NoError(t, killed.Log(trainer.Row{Record: trainer.Record{Step: 5, Loss: number(77)}}))
		require.NoError(t, killed.Stop(nil, nil))
		require.NoError(t, train(t, t.Context(), r))

		want := map[string]curve{"train/loss": {}, "train/grad_norm": {}, "train/learning_rate": {}, "eval/loss": {}}
		for _, row := range history(t, r.Args.OutputDir).LogHistory {
			for tag, value := range map[string]*trainer.Number{
				"train/loss": row.Loss, "train/grad_norm": row.GradNorm, "train/learning_rate": row.LearningRate, "eval/loss": row.EvalLoss,
			} {
				if value != nil {
					want[tag][row.Step] = float32(*value)
				}
			}
		}
		got, files := readCurves(t, dir)
		require.Equal(t, 3, files)
		for tag := range want {
			require.Equal(t, want[tag], got[tag], tag)
		}
	}
}

func TestReportToNoneWritesNoEvents(t *testing.T) {
	r := tinyRun(t)
	r.Args.ReportTo = []string{"none"}
	require.NoError(t, train(t, t.Context(), r))
	require.NoDirExists(t, filepath.Join(r.Args.OutputDir, "runs"))
}

// TestEventsHaveTexts checks the texts of the run's settings and samples.
func TestEventsHaveTexts(t *testing.T) {
	r := tinyRun(t)
	r.Prompts = tinyPrompts()
	require.NoError(t, train(t, t.Context(), r))
	paths, err := filepath.Glob(filepath.Join(r.Args.OutputDir, "runs", "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	b, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	for _, want := range []string{
		"args/text_summary", "model_config/text_summary", "settings/text_summary", "samples/1/text_summary", "samples/2/text_summary",
		`"learning_rate": 0.01`, `"vocab_size": 96`, "| rank, alpha, dropout | 4, 8, 0.1 |", "in the record\n\n    5",
	} {
		require.Contains(t, string(b), want)
	}
	var args map[string]any
	require.NoError(t, json.Unmarshal(argsJSON(&r.Args), &args))
	require.Equal(t, []any{"tensorboard"}, args["report_to"])
	require.Nil(t, args["data_seed"])
}
