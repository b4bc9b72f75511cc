package foreign

import (
	"errors"

	"qlora/cmd/internal/options"
)

const noEightBits = "a base in 8 bits is not supported; `method` qlora trains on 4 bits, lora on the base as it is stored"

// methods are the names that together choose a method.
var methods = []options.Setting{
	method("load_in_4bit", true),
	{Name: "load_in_8bit", Bool: true, Quiet: []string{"false"}, Refuse: noEightBits},
	method("use_peft", true),
	method("finetuning_type", false),
	method("quantization_bit", false),
	method("bits", false),
	method("full_finetune", true),
	method("full_finetuning", true),
}

func method(name string, isBool bool) options.Setting {
	s := sets(name, "`method` qlora, lora or full", func(_ string, given func(string) string) ([]options.Given, error) {
		chosen, err := methodOf(given)
		if err != nil || chosen == "" || chosen == given("method") {
			return nil, err
		}
		if given("method") == "full" && chosen == "lora" && isFalse(given("load_in_4bit")) {
			return nil, nil // full fine-tuning has no 4-bit base either
		}
		return []options.Given{{Name: "method", Text: chosen}}, nil
	})
	s.Bool = isBool
	return s
}

// methodOf returns the value of --method that the given names choose together, "" if
// they leave it open.
func methodOf(given func(string) string) (string, error) {
	bits := given("quantization_bit")
	if bits == "" || empty(bits) {
		bits = given("bits")
	}
	four := isTrue(given("load_in_4bit")) || bits == "4"
	sixteen := isFalse(given("load_in_4bit")) || bits == "16" || bits == "32"
	full := isTrue(given("full_finetune")) || isTrue(given("full_finetuning")) || isFalse(given("use_peft"))
	adapters := isTrue(given("use_peft"))
	switch kind := given("finetuning_type"); kind {
	case "full":
		full = true
	case "lora":
		adapters = true
	case "":
	default:
		return "", errors.New("the methods are lora and full; `method` qlora is lora on a 4-bit base")
	}
	switch {
	case bits == "8":
		return "", errors.New(noEightBits)
	case !four && !sixteen && bits != "" && !empty(bits):
		return "", errors.New("it can be 4, `method` qlora, or 16, `method` lora")
	case full && four:
		return "", errors.New("a 4-bit base cannot be trained in full; `method` qlora trains adapters on it")
	case full:
		return "full", nil
	case four:
		return "qlora", nil
	case sixteen || adapters && given("method") == "":
		return "lora", nil
	}
	return "", nil
}

func isTrue(text string) bool {
	on, err := options.Boolean(text)
	return err == nil && on
}

func isFalse(text string) bool {
	on, err := options.Boolean(text)
	return err == nil && !on
}
