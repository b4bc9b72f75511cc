package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/trainer"
	"qlora/trainer/report"
)

func listen(t *testing.T) *Page {
	t.Helper()
	p, err := Listen(":0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func begin() *trainer.Begin {
	args := trainer.DefaultArgs()
	return &trainer.Begin{
		OutputDir: "some/out", Args: &args, Base: &trainer.Base{Name: "some/base"},
		Device: bindings.Info{Name: "cpu"}, Plan: bindings.MemoryPlan{bindings.Loss: 7, bindings.Weights4Bit: 3}, State: new(trainer.State),
		Length: trainer.Length{Records: 8, Batches: 4, Accumulation: 1, StepsInEpoch: 4, Steps: 8, Epochs: 2},
	}
}

func step(n int) trainer.StepDone {
	return trainer.StepDone{Step: n, Steps: 8, Epoch: float64(n) / 4, Loss: 4 / float64(n), GradNorm: 1, LearningRate: 1e-4, TokensPerSecond: 100, Left: time.Minute}
}

func number(x float64) *trainer.Number { n := trainer.Number(x); return &n }

// An event is what a client received.
type event struct{ name, data string }

// ends reports whether the event is the last one: the run's end, alone or in a snapshot,
// or the end of the stream.
func (e event) ends() bool {
	return e.name == "" || strings.Contains(e.data, `"status":"finished"`)
}

// A reader is a client.
type reader struct {
	t     *testing.T
	lines *bufio.Reader
}

func follow(t *testing.T, p *Page) *reader {
	t.Helper()
	response, err := http.Get(p.URL() + "events")
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close() })
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	return &reader{t, bufio.NewReader(response.Body)}
}

// next returns the next event; its name is empty at the end of the stream.
func (r *reader) next() event {
	var e event
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return event{}
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "event: "):
			e.name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			e.data = line[len("data: "):]
		case line == "" && e.name != "":
			return e
		}
	}
}

// run returns the next event, which must be a snapshot.
func (r *reader) run() run {
	r.t.Helper()
	e := r.next()
	require.Equal(r.t, "run", e.name, e.data)
	var shown run
	require.NoError(r.t, json.Unmarshal([]byte(e.data), &shown))
	return shown
}

// TestEvents checks a client's events from before the run to its end.
func TestEvents(t *testing.T) {
	p := listen(t)
	early := follow(t, p)
	require.Equal(t, preparing, early.run().Status)
	p.Work(trainer.Work{What: "reading the base", Done: 1, Total: 2, Bytes: true})
	require.Equal(t, event{"work", `{"what":"reading the base","done":1,"total":2,"bytes":true}`}, early.next())

	require.NoError(t, p.Start(begin()))
	first := early.run()
	require.Equal(t, training, first.Status)
	require.Equal(t, []share{{"weights_4bit", 3}, {"loss", 7}}, first.Memory)
	require.Equal(t, 8, first.Steps)
	require.InDelta(t, 2, first.Epochs, 0)

	p.Step(step(1))
	require.Equal(t, event{"step", `{"step":1,"epoch":0.25,"left":60,"loss":4,"norm":1,"rate":0.0001,"speed":100}`}, early.next())
	samples := []trainer.Sample{{Step: 1, Prompt: "<b>", Completion: "\n"}}
	require.NoError(t, p.Sampled(samples))
	require.NoError(t, p.Log(trainer.Row{Record: trainer.Record{Step: 1, EvalLoss: number(1.5), EvalRuntime: number(2)}}))
	require.NoError(t, p.Log(trainer.Row{Record: trainer.Record{Step: 1, Loss: number(4)}}))
	require.NoError(t, p.Saved("out/checkpoint-1", 1))
	require.Equal(t, event{"samples", `[{"step":1,"epoch":0.0,"prompt":"\u003cb\u003e","completion":"\n"}]`}, early.next())
	require.Equal(t, event{"evaluation", `{"step":1,"loss":1.5}`}, early.next())
	require.Contains(t, early.next().data, "step 1: evaluated in 2.0 s, loss 1.5000")
	require.Contains(t, early.next().data, "step 1: saved checkpoint-1")
	measured := &bindings.Telemetry{MemoryUsed: new(int64(5)), Utilization: new(0), Power: new(300.5)}
	require.NoError(t, p.Log(trainer.Row{Record: trainer.Record{Step: 1, Loss: number(4)}, Telemetry: measured}))
	require.Equal(t, event{"reading", `{"step":1,"gpu_memory_used":5,"gpu_utilization":0,"gpu_power":300.5}`}, early.next())

	late := follow(t, p)
	whole := late.run()
	require.Equal(t, []reading{{1, measured}}, whole.Readings)
	require.Equal(t, columns{[]int{1}, []float32{4}, []float32{1}, []float32{1e-4}, []float32{100}}, whole.Points)
	require.Equal(t, []evaluation{{1, 1.5}}, whole.Evaluations)
	require.Equal(t, samples, whole.Samples)
	require.Len(t, whole.Log, 3)

	require.NoError(t, p.Stop(&trainer.State{LogHistory: []trainer.Record{{TrainLoss: number(2)}}}, nil))
	for _, r := range []*reader{early, late} {
		require.Contains(t, r.next().data, "finished: mean loss 2.0000")
		require.Contains(t, r.next().data, `{"status":"finished","text":"mean loss 2.0000","at":`)
	}
	require.Equal(t, finished, follow(t, p).run().Status)
}

// TestCloseTellsTheEnd checks that every client receives the end before the page closes.
func TestCloseTellsTheEnd(t *testing.T) {
	for range 20 {
		p, err := Listen(":0")
		require.NoError(t, err)
		r := follow(t, p)
		r.run()
		require.NoError(t, p.Stop(new(trainer.State), nil))
		require.NoError(t, p.Close())
		for e := r.next(); ; e = r.next() {
			require.NotEmpty(t, e.name, "the stream ended first")
			if e.name == "end" {
				break
			}
		}
	}
}

func TestHowARunEnds(t *testing.T) {
	for _, c := range []struct {
		err          error
		status, text string
	}{
		{nil, finished, ""},
		{fmt.Errorf("oh: %w", trainer.ErrInterrupted), interrupted, "stopped after step 5; --resume_from_checkpoint goes on"},
		{errors.New("the loss is NaN"), failed, "the loss is NaN"},
	} {
		p := listen(t)
		require.NoError(t, p.Stop(&trainer.State{GlobalStep: 5}, c.err)) // even before Start
		r := follow(t, p).run()
		require.Equal(t, []any{c.status, c.text}, []any{r.Status, r.Text})
		require.Positive(t, r.Ended)
	}
}

// TestResumedRun checks that a resumed run shows what it had logged before.
func TestResumedRun(t *testing.T) {
	p := listen(t)
	b := begin()
	b.OutputDir, b.Step, b.Took, b.Resumed = t.TempDir(), 4, time.Hour, "out/checkpoint-4"
	rows := []trainer.Row{
		{Record: trainer.Record{Step: 2, Loss: number(2), GradNorm: number(3), LearningRate: number(4)}, TokensPerSecond: number(5), Telemetry: &bindings.Telemetry{Temperature: new(61)}},
		{Record: trainer.Record{Step: 4, Loss: number(1), GradNorm: number(3), LearningRate: number(4)}},
		{Record: trainer.Record{Step: 4, EvalLoss: number(9)}},
	}
	for _, row := range rows {
		b.State.LogHistory = append(b.State.LogHistory, row.Record)
	}
	writeLines(t, filepath.Join(b.OutputDir, report.MetricsFile), rows)
	samples := []trainer.Sample{{Step: 4, Completion: "x"}}
	writeLines(t, filepath.Join(b.OutputDir, report.SamplesFile), samples)
	require.NoError(t, p.Start(b))
	p.Step(step(5))
	r := follow(t, p).run()
	require.Equal(t, []int{2, 4, 5}, r.Points.Step)
	require.Equal(t, []float32{2, 1, 0.8}, r.Points.Loss)
	require.Equal(t, []float32{5, 0, 100}, r.Points.Speed)
	require.Equal(t, []evaluation{{4, 9}}, r.Evaluations)
	require.Equal(t, []reading{{2, &bindings.Telemetry{Temperature: new(61)}}}, r.Readings)
	require.Equal(t, samples, r.Samples)
	require.InDelta(t, time.Now().Add(-time.Hour).Unix(), r.Began, 60)
	require.Equal(t, "step 4: resumed from checkpoint-4", r.Log[1].Text)
}

// writeLines writes one JSON object per line.
func writeLines[T any](t *testing.T, path string, all []T) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	for _, one := range all {
		require.NoError(t, json.NewEncoder(f).Encode(one))
	}
}

// TestSlowClient checks that a client that does not read delays neither the run nor
// other clients, and has the whole run in the end.
func TestSlowClient(t *testing.T) {
	p := listen(t)
	require.NoError(t, p.Start(begin()))
	at, err := url.Parse(p.URL())
	require.NoError(t, err)
	slow, err := net.Dial("tcp", at.Host)
	require.NoError(t, err)
	defer slow.Close()
	fmt.Fprintf(slow, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", at.Host)
	brisk := follow(t, p)
	brisk.run()
	var others sync.WaitGroup
	others.Go(func() {
		for e := brisk.next(); !e.ends(); e = brisk.next() {
		}
	})

	const steps = 400
	text := strings.Repeat("x", 32<<10) // more in total than the sockets' buffers
	longest := time.Duration(0)
	for n := 1; n <= steps; n++ {
		start := time.Now()
		p.Step(step(n))
		require.NoError(t, p.Sampled([]trainer.Sample{{Step: n, Completion: text}}))
		longest = max(longest, time.Since(start))
	}
	require.Less(t, longest, patience, "a step waited for a client")
	require.NoError(t, p.Stop(new(trainer.State), nil))
	others.Wait()

	require.NoError(t, slow.SetReadDeadline(time.Now().Add(2*time.Minute)))
	response, err := http.ReadResponse(bufio.NewReader(slow), nil)
	require.NoError(t, err)
	r := &reader{t, bufio.NewReader(response.Body)}
	runs, last := 0, run{}
	for last.Status != finished {
		e := r.next()
		require.NotEmpty(t, e.name, "the stream ended after %d runs", runs)
		if e.name == "run" {
			runs++
			require.NoError(t, json.Unmarshal([]byte(e.data), &last))
		}
	}
	require.Greater(t, runs, 1, "nothing was left out: the test's events all fitted into buffers")
	require.Equal(t, steps, last.Step)
	require.Len(t, last.Samples, steps)
}

// TestManyClients connects and disconnects clients during the run (for the race
// detector).
func TestManyClients(t *testing.T) {
	p := listen(t)
	require.NoError(t, p.Start(begin()))
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 5 {
				response, err := http.Get(p.URL() + "events")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.CopyN(io.Discard, response.Body, 2000)
				response.Body.Close()
			}
		})
	}
	gone := make(chan struct{})
	go func() { clients.Wait(); close(gone) }()
	for n := 1; ; n++ {
		p.Step(step(n))
		p.note("step %d", n)
		select {
		case <-gone:
			return
		default:
		}
	}
}

func TestClientsAreBounded(t *testing.T) {
	p := listen(t)
	for range maxClients {
		require.NotNil(t, p.join())
	}
	response, err := http.Get(p.URL() + "events")
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
}

// TestLongRun checks that the data of a long run is bounded, and that clients receive a
// snapshot when it is thinned out.
func TestLongRun(t *testing.T) {
	p := listen(t)
	require.NoError(t, p.Start(begin()))
	r := follow(t, p)
	r.run()
	const steps = 3*maxPoints + 1
	for n := 1; n <= steps; n++ {
		p.Step(trainer.StepDone{Step: n, Loss: float64(n), GradNorm: 1})
		p.note("%d", n)
		if n%5 == 0 {
			require.NoError(t, p.Log(trainer.Row{Record: trainer.Record{Step: n, EvalLoss: number(1), EvalRuntime: number(1)}}))
			require.NoError(t, p.Log(trainer.Row{Record: trainer.Record{Step: n}, Telemetry: &bindings.Telemetry{Temperature: new(n)}}))
		}
	}
	require.NoError(t, p.Stop(new(trainer.State), nil))
	runs := 0
	for e := r.next(); !e.ends(); e = r.next() {
		if e.name == "run" {
			runs++
		}
	}
	require.Positive(t, runs)
	last := follow(t, p).run()
	require.LessOrEqual(t, len(last.Points.Step), maxPoints)
	require.LessOrEqual(t, len(last.Evaluations), maxEvaluations)
	require.LessOrEqual(t, len(last.Readings), maxReadings)
	require.Equal(t, steps-steps%5, last.Readings[len(last.Readings)-1].Step)
	require.Len(t, last.Log, maxEntries)
	require.Equal(t, steps, last.Points.Step[len(last.Points.Step)-1])
	// Each point is the mean of the steps since the one before.
	before := 0
	for i, n := range last.Points.Step {
		require.InDelta(t, float64(before+1+n)/2, float64(last.Points.Loss[i]), 1e-3*float64(n))
		before = n
	}
}

// TestFiles checks that the page consists of these files and loads nothing else.
func TestFiles(t *testing.T) {
	p := listen(t)
	for path, f := range served {
		response, err := http.Get(p.URL() + path[1:])
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		require.Equal(t, f.kind, response.Header.Get("Content-Type"))
		require.Equal(t, policy, response.Header.Get("Content-Security-Policy"))
		own, err := os.ReadFile(f.file)
		require.NoError(t, err)
		require.Equal(t, string(own), string(body))
		if !strings.Contains(path, "uplot") && path != "/favicon.svg" {
			require.NotContains(t, string(body), "//cdn")
			require.NotContains(t, string(body), "http:")
			require.NotContains(t, string(body), "https:")
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	p := listen(t)
	at, err := url.Parse(p.URL())
	require.NoError(t, err)
	for _, c := range []struct {
		method, path, host, site string
		want                     int
	}{
		{"GET", "/", at.Host, "", 200},
		{"HEAD", "/", "localhost:1", "", 200},
		{"GET", "/", "[::1]", "", 200},
		{"GET", "/", "evil.example", "", 403},
		{"GET", "/events", "evil.example:8080", "", 403},
		{"GET", "/", "127.0.0.1.evil.example", "", 403},
		{"GET", "/events", at.Host, "cross-site", 403},
		{"POST", "/", at.Host, "", 405},
		{"DELETE", "/events", at.Host, "", 405},
		{"GET", "/page/live.js", at.Host, "", 404},
		{"GET", "/../live.go", at.Host, "", 404},
		{"GET", "/uplot/fetch.sh", at.Host, "", 404},
	} {
		request, err := http.NewRequest(c.method, p.URL(), nil)
		require.NoError(t, err)
		request.URL.Path, request.Host = c.path, c.host
		if c.site != "" {
			request.Header.Set("Sec-Fetch-Site", c.site)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, c.want, response.StatusCode, "%+v", c)
	}
}
