package trainer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"qlora/option"
)

// ScheduleArgs are the settings of a schedule by name, as transformers'
// lr_scheduler_kwargs. A value is a float64 or a string.
type ScheduleArgs map[string]any

// UnmarshalText reads the text of a JSON object of numbers and strings. A null means
// that the setting is not given, and empty text that none is.
func (s *ScheduleArgs) UnmarshalText(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		*s = nil
		return nil
	}
	given := map[string]any{}
	if err := json.Unmarshal(text, &given); err != nil || given == nil {
		return errors.New(`the value is not a JSON object like {"num_cycles": 2}`)
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		switch given[key].(type) {
		case float64, string:
		case nil:
			delete(given, key)
		default:
			return fmt.Errorf("the value of %q is neither a number nor a text", key)
		}
	}
	*s = given
	return nil
}

// MarshalText returns what UnmarshalText reads; it is empty if no setting is given.
func (s ScheduleArgs) MarshalText() ([]byte, error) {
	if len(s) == 0 {
		return nil, nil
	}
	return []byte(s.String()), nil
}

// String returns the settings as JSON in one line, sorted by name.
func (s ScheduleArgs) String() string {
	if len(s) == 0 {
		return "{}"
	}
	text, err := json.Marshal(map[string]any(s))
	if err != nil {
		return err.Error() // a number that JSON cannot express
	}
	return string(text)
}

// scheduleArgs reads the settings of a schedule, and records the first error.
type scheduleArgs struct {
	given ScheduleArgs
	reads []string
	err   error
}

func (s *scheduleArgs) fail(format string, args ...any) {
	if s.err == nil {
		s.err = option.Errorf("lr_scheduler_kwargs", s.given, format, args...)
	}
}

// take returns the value of a setting, nil if it is not given.
func (s *scheduleArgs) take(key string) any {
	s.reads = append(s.reads, key)
	return s.given[key]
}

// has reports whether the setting is given.
func (s *scheduleArgs) has(key string) bool { return s.given[key] != nil }

// number returns a number of at least 0.
func (s *scheduleArgs) number(key string, standard float64) float64 {
	value := s.take(key)
	if value == nil {
		return standard
	}
	x, ok := value.(float64)
	if !ok || !(x >= 0 && x < math.MaxInt32) {
		s.fail("%s in it is %s, and it must be a number of at least 0 and below %d", key, quoted(value), math.MaxInt32)
		return standard
	}
	return x
}

// whole returns a whole number of at least low.
func (s *scheduleArgs) whole(key string, standard, low int) int {
	value := s.take(key)
	if value == nil {
		return standard
	}
	x, ok := value.(float64)
	if !ok || x != math.Trunc(x) || !(x >= float64(low) && x < math.MaxInt32) {
		s.fail("%s in it is %s, and it must be a whole number of at least %d and below %d", key, quoted(value), low, math.MaxInt32)
		return standard
	}
	return int(x)
}

// choice returns one of the texts that are allowed.
func (s *scheduleArgs) choice(key, standard string, allowed []string) string {
	value := s.take(key)
	if value == nil {
		return standard
	}
	text, ok := value.(string)
	if !ok || !slices.Contains(allowed, text) {
		s.fail("%s in it is %s, and it can be %s", key, quoted(value), either(allowed))
		return standard
	}
	return text
}

// quoted formats a value as in JSON.
func quoted(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}

// done returns the first error, or an error for a setting that the schedule did not
// read.
func (s *scheduleArgs) done(schedule string) error {
	if s.err != nil {
		return s.err
	}
	for _, key := range slices.Sorted(maps.Keys(s.given)) {
		if slices.Contains(s.reads, key) {
			continue
		}
		reads := "no settings"
		if len(s.reads) > 0 {
			reads = strings.Join(s.reads, ", ")
		}
		return option.Errorf("lr_scheduler_kwargs", s.given, "it has %s, and `lr_scheduler_type` %s reads %s", key, schedule, reads)
	}
	return nil
}
