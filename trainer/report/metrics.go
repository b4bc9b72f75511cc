package report

import (
	"encoding/json"

	"qlora/trainer"
)

// MetricsFile holds one JSON object per logged row, a [trainer.Row].
const MetricsFile = "metrics.jsonl"

// metrics writes metrics.jsonl.
type metrics struct{ rowFile }

// newMetrics bounds a line at ten times the length of a written one.
func newMetrics() *metrics { return &metrics{rowFile{name: MetricsFile, most: 8 << 10}} }

func (m *metrics) Log(r trainer.Row) error { return m.append(r) }

// Rows returns the rows that a resumed run logged before, with the measurements that
// metrics.jsonl in its output folder has of them. A fresh run has none.
func Rows(b *trainer.Begin) ([]trainer.Row, error) {
	if b.Step == 0 {
		return nil, nil
	}
	measured := map[int]trainer.Row{} // training rows by step
	err := newMetrics().read(b.OutputDir, b.Step, func(line []byte) error {
		var row trainer.Row
		if json.Unmarshal(line, &row) == nil && row.Loss != nil {
			measured[row.Step] = row
		}
		return nil
	})
	rows := make([]trainer.Row, len(b.State.LogHistory))
	for i, record := range b.State.LogHistory {
		rows[i].Record = record
		if m, ok := measured[record.Step]; ok && record.Loss != nil && *record.Loss == *m.Loss {
			m.Record = record
			rows[i] = m
		}
	}
	return rows, err
}
