package reward

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
)

// length gives 1 to completions of up to a number of tokens, and less to longer ones, 0 from
// twice as many on.
func length(argument string, _ Settings) (score, error) {
	most, err := strconv.Atoi(argument)
	if err != nil || most < 1 {
		return nil, errors.New("it needs a number of tokens, as in length:64")
	}
	return func(c *Completion) (float64, error) {
		return math.Max(0, math.Min(1, 2-float64(len(c.IDs))/float64(most))), nil
	}, nil
}

// overlong takes up to 1 from completions whose length is within the last of a number of tokens, as
// DAPO does (arXiv:2503.14476, equation 13), TRL's get_soft_overlong_punishment.
func overlong(argument string, _ Settings) (score, error) {
	first, second, _ := strings.Cut(argument, ":")
	most, err := strconv.Atoi(first)
	last, wrong := strconv.Atoi(second)
	if err != nil || wrong != nil || most < 1 || last < 0 {
		return nil, errors.New("it needs the most tokens, and over how many of them it falls to -1, as in overlong:1280:256")
	}
	return func(c *Completion) (float64, error) {
		switch n, free := len(c.IDs), most-last; {
		case n <= free:
			return 0, nil
		case n > most:
			return -1, nil
		default:
			return float64(free-n) / float64(last), nil
		}
	}, nil
}

// repetition takes from completions the share of their sequences of n tokens that they have had
// before (arXiv:2502.03373, appendix C.2), TRL's get_repetition_penalty_reward.
func repetition(argument string, _ Settings) (score, error) {
	n := 3
	if argument != "" {
		var err error
		if n, err = strconv.Atoi(argument); err != nil || n < 1 {
			return nil, errors.New("it needs a number of tokens that follow each other, as in repetition:3")
		}
	}
	return func(c *Completion) (float64, error) {
		all := len(c.IDs) - n + 1
		if all < 1 {
			return 0, nil
		}
		bytes := make([]byte, 0, 4*len(c.IDs))
		for _, id := range c.IDs {
			bytes = binary.LittleEndian.AppendUint32(bytes, uint32(id))
		}
		text, different := string(bytes), map[string]bool{} // of parts of text, which are no copies
		for i := range all {
			different[text[4*i:4*(i+n)]] = true
		}
		return float64(len(different))/float64(all) - 1, nil
	}, nil
}
