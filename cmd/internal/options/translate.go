package options

import "fmt"

// A translation is a name that sets another option.
type translation struct {
	help string
	// meaning returns the option that text sets, and its value; "" sets none.
	meaning func(text string) (option, value string, err error)
}

// TranslatePrecision adds bf16 and fp16, transformers' options for the type of
// computation. They set bnb_4bit_compute_dtype.
func (s *Set) TranslatePrecision() {
	const target = "bnb_4bit_compute_dtype"
	if s.byName[target] == nil {
		panic("options: there is no option " + target)
	}
	s.translated["bf16"] = translation{
		help: "true: compute in bfloat16; false: in float32; the same as --" + target,
		meaning: func(text string) (string, string, error) {
			on, err := boolean("bf16", text)
			if on {
				return target, "bfloat16", err
			}
			return target, "float32", err
		},
	}
	s.translated["fp16"] = translation{
		help: "must be false: computing in float16 is not supported; use --bf16",
		meaning: func(text string) (string, string, error) {
			on, err := boolean("fp16", text)
			if err == nil && on {
				err = fmt.Errorf("fp16: computing in float16 is not supported, its range is too small for training; use --bf16")
			}
			return "", "", err
		},
	}
}

func boolean(name, text string) (bool, error) {
	switch text {
	case "true", "True", "1":
		return true, nil
	case "false", "False", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s: %q is neither true nor false", name, text)
}
