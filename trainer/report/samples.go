package report

import (
	"encoding/json"

	"qlora/trainer"
)

// SamplesFile holds one JSON object per sample, a [trainer.Sample].
const SamplesFile = "samples.jsonl"

// sampleFile writes samples.jsonl.
type sampleFile struct{ rowFile }

func newSamples() *sampleFile { return &sampleFile{rowFile{name: SamplesFile, most: 1 << 20}} }

func (s *sampleFile) Sampled(all []trainer.Sample) error {
	for _, one := range all {
		if err := s.append(one); err != nil {
			return err
		}
	}
	return nil
}

// Samples returns the samples that a resumed run generated before, from samples.jsonl in
// its output folder. A fresh run has none.
func Samples(b *trainer.Begin) ([]trainer.Sample, error) {
	if b.Step == 0 {
		return nil, nil
	}
	var all []trainer.Sample
	err := newSamples().read(b.OutputDir, b.Step, func(line []byte) error {
		var s trainer.Sample
		if json.Unmarshal(line, &s) == nil {
			all = append(all, s)
		}
		return nil
	})
	return all, err
}
