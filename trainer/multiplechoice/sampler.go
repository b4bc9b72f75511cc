package multiplechoice

import (
	"fmt"
	"reflect"

	"qlora/internal/pyrandom"
)

// A sampler draws the examples of each question, in the order of the questions. Each
// subject has its own sampler, because the harness treats subjects as separate tasks.
type sampler struct {
	pool   []*Question
	random *pyrandom.Random // nil selects the first ones
	apart  bool             // the pool is separate from the questions
}

// newSamplers returns a sampler per subject. Without examples the questions are the
// pool.
func newSamplers(o *Options, asked, examples []Question) map[string]*sampler {
	all := map[string]*sampler{}
	from, apart := examples, true
	if from == nil {
		from, apart = asked, false
	}
	for i := range asked {
		if subject := asked[i].Subject; all[subject] == nil {
			s := &sampler{apart: apart}
			if o.Sampler == samplerRandom {
				s.random = pyrandom.New(o.Seed)
			}
			all[subject] = s
		}
	}
	for i := range from {
		if s := all[from[i].Subject]; s != nil {
			s.pool = append(s.pool, &from[i])
		}
	}
	return all
}

// sample draws n examples for q.
func (s *sampler) sample(q *Question, n int) ([]*Question, error) {
	if n == 0 {
		return nil, nil
	}
	pool := s.pool
	draw := n
	if !s.apart {
		draw++ // q may be one of them
	}
	if len(pool) < draw {
		return nil, tooFew(q, n, len(pool)-(draw-n))
	}
	if s.random == nil {
		return first(s.others(pool, q), q, n)
	}
	picked := s.others(s.drawn(pool, draw), q)
	if len(picked) < n {
		// q occurs in the pool more than once, and several copies were drawn.
		if pool = s.others(pool, q); len(pool) < n {
			return nil, tooFew(q, n, len(pool))
		}
		picked = s.drawn(pool, n)
	}
	return first(picked, q, n)
}

func (s *sampler) drawn(pool []*Question, n int) []*Question {
	var picked []*Question
	for _, i := range s.random.Sample(len(pool), n) {
		picked = append(picked, pool[i])
	}
	return picked
}

// others returns the elements of list other than q, if q can be among them.
func (s *sampler) others(list []*Question, q *Question) []*Question {
	if s.apart {
		return list
	}
	var rest []*Question
	for _, e := range list {
		if !reflect.DeepEqual(e, q) {
			rest = append(rest, e)
		}
	}
	return rest
}

func first(list []*Question, q *Question, n int) ([]*Question, error) {
	if len(list) < n {
		return nil, tooFew(q, n, len(list))
	}
	return list[:n], nil
}

func tooFew(q *Question, n, there int) error {
	of := ""
	if q.Subject != "" {
		of = fmt.Sprintf(" of subject %q", q.Subject)
	}
	return fmt.Errorf("fewshot is %d, but there are only %d examples%s", n, there, of)
}
