package multiplechoice

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
)

// A Score counts the right answers to some questions.
type Score struct {
	Records  int
	Acc      Accuracy // by log-likelihood
	AccNorm  Accuracy // by log-likelihood per character of the answer
	AccBytes Accuracy // per byte
}

// MarshalJSON uses the harness's names.
func (s Score) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Records        int     `json:"records"`
		Acc            float64 `json:"acc"`
		AccStdErr      float64 `json:"acc_stderr"`
		AccNorm        float64 `json:"acc_norm"`
		AccNormStdErr  float64 `json:"acc_norm_stderr"`
		AccBytes       float64 `json:"acc_bytes"`
		AccBytesStdErr float64 `json:"acc_bytes_stderr"`
	}{s.Records, s.Acc.Mean, s.Acc.StdErr, s.AccNorm.Mean, s.AccNorm.StdErr, s.AccBytes.Mean, s.AccBytes.StdErr})
}

// An Accuracy is a fraction of right answers and its standard error: the sample's
// standard deviation over the square root of its size, 0 for a single question.
type Accuracy struct {
	Mean   float64
	StdErr float64
}

// A Report is the score of all questions and, if they have subjects, of each subject.
type Report struct {
	All      Score
	Subjects []Subject // by name; empty if questions have no subjects
	// Mean is the unweighted mean of the subjects' scores, with the standard error of
	// this mean.
	Mean Score
}

// MarshalJSON puts the score of all questions at the top level.
func (r Report) MarshalJSON() ([]byte, error) {
	all, err := json.Marshal(r.All)
	if err != nil || len(r.Subjects) == 0 {
		return all, err
	}
	subjects := map[string]Score{}
	for _, s := range r.Subjects {
		subjects[s.Name] = s.Score
	}
	rest, err := json.Marshal(struct {
		Mean     Score            `json:"subject_mean"`
		Subjects map[string]Score `json:"subjects"`
	}{r.Mean, subjects})
	return append(append(all[:len(all)-1], ','), rest[1:]...), err
}

// A Subject is the score of its questions.
type Subject struct {
	Name string
	Score
}

// NewReport sums up outcomes.
func NewReport(outcomes []Outcome) Report {
	r := Report{All: score(outcomes)}
	bySubject := map[string][]Outcome{}
	for _, o := range outcomes {
		bySubject[o.Subject] = append(bySubject[o.Subject], o)
	}
	if len(bySubject) == 1 && bySubject[""] != nil {
		return r
	}
	for _, name := range slices.Sorted(maps.Keys(bySubject)) {
		r.Subjects = append(r.Subjects, Subject{name, score(bySubject[name])})
	}
	mean := func(of func(*Score) Accuracy) (a Accuracy) {
		variance := 0.0
		for i := range r.Subjects {
			own := of(&r.Subjects[i].Score)
			a.Mean += own.Mean / float64(len(r.Subjects))
			variance += own.StdErr * own.StdErr
		}
		a.StdErr = math.Sqrt(variance) / float64(len(r.Subjects))
		return a
	}
	r.Mean = Score{
		Records:  len(outcomes),
		Acc:      mean(func(s *Score) Accuracy { return s.Acc }),
		AccNorm:  mean(func(s *Score) Accuracy { return s.AccNorm }),
		AccBytes: mean(func(s *Score) Accuracy { return s.AccBytes }),
	}
	return r
}

func score(outcomes []Outcome) Score {
	right := func(of func(*Outcome) int) Accuracy {
		n, hits := float64(len(outcomes)), 0.0
		for i := range outcomes {
			if of(&outcomes[i]) == outcomes[i].Answer {
				hits++
			}
		}
		a := Accuracy{Mean: hits / n}
		if n > 1 {
			a.StdErr = math.Sqrt(a.Mean * (1 - a.Mean) / (n - 1))
		}
		return a
	}
	return Score{
		Records:  len(outcomes),
		Acc:      right(func(o *Outcome) int { return o.Likeliest }),
		AccNorm:  right(func(o *Outcome) int { return o.LikeliestNorm }),
		AccBytes: right(func(o *Outcome) int { return o.LikeliestBytes }),
	}
}
