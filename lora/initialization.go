package lora

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/option"
)

// Initialization is the initialization of A and B, as PEFT's init_lora_weights. "" is
// InitDefault.
type Initialization string

// The initializations that [Adapters.Init] computes. Those of the second group move a
// part of the base weight into the adapter; the base stores the rest.
const (
	InitDefault    Initialization = "true"       // A uniform in ±1/sqrt(in), B zero
	InitGaussian   Initialization = "gaussian"   // A normal with standard deviation 1/r, B zero
	InitRandom     Initialization = "false"      // A as InitDefault, B uniform in ±1/sqrt(r)
	InitOrthogonal Initialization = "orthogonal" // neither is zero, B·A is

	InitPiSSA Initialization = "pissa" // the base's largest singular triplets; pissa_niter_N: by a randomized method
	InitOLoRA Initialization = "olora" // from the base's QR decomposition
	InitLoftQ Initialization = "loftq" // low-rank part of the quantization error
)

const computableNames = "true, gaussian, orthogonal, false, pissa, pissa_niter_N, olora or loftq"

// pissaIterations is the prefix of the name of a randomized PiSSA.
const pissaIterations = "pissa_niter_"

// maxIterations is far above any use.
const maxIterations = 1000

// ChangesBase reports whether the initialization moves a part of the base weights into
// A and B.
func (i Initialization) ChangesBase() bool {
	_, randomized := i.iterations()
	return randomized || i == InitPiSSA || i == InitOLoRA || i == InitLoftQ
}

// iterations returns the N of pissa_niter_N.
func (i Initialization) iterations() (n int, randomized bool) {
	digits, ok := strings.CutPrefix(string(i), pissaIterations)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && 0 <= n && n <= maxIterations && digits == strconv.Itoa(n)
}

func (i Initialization) computable() bool {
	return i.ChangesBase() || slices.Contains([]Initialization{InitDefault, InitGaussian, InitRandom, InitOrthogonal}, i)
}

// readable reports whether an adapter with initialization i can be read, even if Init
// cannot compute it.
func (i Initialization) readable() bool { return i == "" || i.computable() || i == "eva" }

// UnmarshalJSON reads true, false or the name of an initialization. Like PEFT, it
// accepts some names in any case.
func (i *Initialization) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "null":
	case "true":
		*i = InitDefault
	case "false":
		*i = InitRandom
	default:
		if err := json.Unmarshal(data, (*string)(i)); err != nil {
			return err
		}
		if lower := Initialization(strings.ToLower(string(*i))); lower == InitOLoRA || lower == InitGaussian {
			*i = lower
		}
	}
	return nil
}

// MarshalJSON returns what UnmarshalJSON reads.
func (i Initialization) MarshalJSON() ([]byte, error) {
	if i == InitDefault || i == InitRandom {
		return []byte(i), nil
	}
	return json.Marshal(string(i))
}

// checkInit returns what does not fit the initialization. Ranks that depend on the
// model are checked when the adapters are put on it.
func (c *Config) checkInit() error {
	if c.LoraBias && c.Init != "" && c.Init != InitDefault && c.Init != InitRandom {
		return option.Errorf("lora_bias", true, "with it `init_lora_weights` is true or false, not %s", c.Init)
	}
	if c.LoraBias && c.DoRA {
		return option.Errorf("lora_bias", true, "it cannot be combined with `use_dora`: an adapter with a magnitude has no bias")
	}
	switch {
	case !c.Init.ChangesBase():
	case c.DoRA:
		return option.Errorf("init_lora_weights", string(c.Init), "that cannot be combined with `use_dora`: an adapter with a magnitude is not relative to the original weights")
	case 2*c.R > maxRank || slices.ContainsFunc(c.RankPattern, func(e PatternEntry) bool { return 2*e.Value > maxRank }):
		return option.Errorf("init_lora_weights", string(c.Init), "that saves adapters of twice the rank, which must be at most %d", maxRank)
	}
	if odd := func(r int) bool { return r%2 != 0 }; c.Init == InitOrthogonal &&
		(odd(c.R) || slices.ContainsFunc(c.RankPattern, func(e PatternEntry) bool { return odd(int(e.Value)) })) {
		return option.Errorf("init_lora_weights", string(c.Init), "orthogonal needs even ranks")
	}
	return nil
}

// loftQBits is the number of bits of a quantized base.
const loftQBits = 4

// loftQConfig is PEFT's loftq_config.
type loftQConfig struct {
	Bits       int `json:"loftq_bits"`
	Iterations int `json:"loftq_iter"`
}

// loftQ reads loftq_config if the initialization uses it.
func (f *fields) loftQ(c *Config) error {
	if c.Init != InitLoftQ {
		return nil
	}
	l := loftQConfig{Bits: loftQBits, Iterations: 1}
	f.get("loftq_config", &l)
	switch {
	case f.err != nil:
		return f.err
	case l.Bits != loftQBits:
		return fmt.Errorf("loftq_bits is %d; a quantized base has %d", l.Bits, loftQBits)
	case l.Iterations < 1 || l.Iterations > maxIterations:
		return fmt.Errorf("loftq_iter is %d; it must be from 1 to %d", l.Iterations, maxIterations)
	}
	c.LoftQIterations = l.Iterations
	return nil
}
