package trainer

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"qlora/bindings"
	"qlora/option"
)

// optimArgs are the settings of --optim_args, comma-separated key=value pairs as
// transformers' Trainer parses them. The optimizer that reads a setting removes it.
// optimArgs records the first error.
type optimArgs struct {
	text  string
	given map[string]string
	reads []string
	err   error
}

func parseOptimArgs(text string) (*optimArgs, error) {
	o := &optimArgs{text: text, given: map[string]string{}}
	text = strings.ReplaceAll(text, " ", "")
	if text == "" {
		return o, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || value == "" || strings.Contains(value, "=") {
			return nil, option.Errorf("optim_args", text, "it must be comma-separated key=value pairs, like momentum=0.9,nesterov=true")
		}
		if _, twice := o.given[key]; twice {
			return nil, option.Errorf("optim_args", text, "it has %s twice", key)
		}
		o.given[key] = value
	}
	return o, nil
}

// take removes a setting and returns its text, and reports whether it was given.
func (o *optimArgs) take(key string) (string, bool) {
	o.reads = append(o.reads, key)
	value, ok := o.given[key]
	delete(o.given, key)
	return value, ok
}

func (o *optimArgs) fail(format string, args ...any) {
	if o.err == nil {
		o.err = option.Errorf("optim_args", o.text, format, args...)
	}
}

// share returns a number of at least 0 and below 1; 0 if it is not given.
func (o *optimArgs) share(key string) float64 {
	text, ok := o.take(key)
	if !ok {
		return 0
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0 && x < 1) {
		o.fail("%s in it is %q, and it must be at least 0 and below 1", key, text)
	}
	return x
}

func (o *optimArgs) whole(key string, standard int) int {
	text, ok := o.take(key)
	if !ok {
		return standard
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		o.fail("%s in it is %q, and it must be a whole number of at least 0", key, text)
	}
	return int(n)
}

// truth returns true for the words that transformers accepts as true.
func (o *optimArgs) truth(key string) bool {
	text, ok := o.take(key)
	switch strings.ToLower(text) {
	case "true", "1", "yes":
		return true
	case "false", "0", "no":
		return false
	}
	if ok {
		o.fail("%s in it is %q, and it must be true or false", key, text)
	}
	return false
}

func (o *optimArgs) sgd() bindings.SGD {
	r := bindings.SGD{Momentum: o.share("momentum"), Dampening: o.share("dampening"), Nesterov: o.truth("nesterov")}
	if r.Nesterov && (r.Momentum == 0 || r.Dampening != 0) {
		o.fail("nesterov in it needs a momentum above 0, and no dampening")
	}
	return r
}

// done returns the first error, or an error for settings that the optimizer did not
// read; transformers ignores them silently.
func (o *optimArgs) done(optimizer string) error {
	if o.err != nil || len(o.given) == 0 {
		return o.err
	}
	reads := "none"
	if len(o.reads) > 0 {
		reads = strings.Join(o.reads, ", ")
	}
	return option.Errorf("optim_args", o.text, "it has %s, and `optim` %s reads %s there; learning rate, betas, epsilon and weight decay have their own options",
		slices.Sorted(maps.Keys(o.given))[0], optimizer, reads)
}
