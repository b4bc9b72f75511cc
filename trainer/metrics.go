package trainer

import "encoding/json"

// metricsFile has one JSON object a logged step.
const metricsFile = "metrics.jsonl"

// metrics writes metrics.jsonl.
type metrics struct{ rowFile }

// newMetrics bounds a line at ten times what ours have.
func newMetrics() *metrics { return &metrics{rowFile{name: metricsFile, most: 8 << 10}} }

func (m *metrics) Log(r Row) error { return m.append(r) }

// rowsBefore are the rows of the log up to step, with what metrics.jsonl in dir
// has of them besides.
func rowsBefore(dir string, step int, history []Record) ([]Row, error) {
	measured := map[int]Row{} // rows of training, by step
	err := newMetrics().read(dir, step, func(line []byte) error {
		var row Row
		if json.Unmarshal(line, &row) == nil && row.Loss != nil {
			measured[row.Step] = row
		}
		return nil
	})
	rows := make([]Row, len(history))
	for i, record := range history {
		rows[i].Record = record
		if m, ok := measured[record.Step]; ok && record.Loss != nil && *record.Loss == *m.Loss {
			m.Record = record
			rows[i] = m
		}
	}
	return rows, err
}
