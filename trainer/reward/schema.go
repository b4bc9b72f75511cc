package reward

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// isJSON gives 1 to completions that are a value in JSON.
func isJSON(argument string, _ Settings) (score, error) {
	if argument != "" {
		return nil, errors.New("it has no argument; json_schema:FILE checks a schema")
	}
	return func(c *Completion) (float64, error) { return oneIf(json.Valid([]byte(c.Text))), nil }, nil
}

// maxSchemaBytes bounds the size of a schema.
const maxSchemaBytes = 1 << 20

// followsSchema gives 1 to completions in JSON that follow the JSON Schema in a file, and have no
// number with a huge exponent, which would be compared digit by digit.
func followsSchema(path string, _ Settings) (score, error) {
	if path == "" {
		return nil, errors.New("it needs a file, as in json_schema:schema.json")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > maxSchemaBytes {
		return nil, fmt.Errorf("%s has %d bytes, but the limit of a schema is %d", path, info.Size(), maxSchemaBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s is not JSON: %w", path, err)
	}
	if !moderate(doc) {
		return nil, fmt.Errorf("%s has a number with an exponent of more than %d", path, mostExponent)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noOther{})
	if err := compiler.AddResource("schema.json", doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		return nil, fmt.Errorf("%s is not a JSON Schema: %w", path, err)
	}
	return func(c *Completion) (float64, error) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(c.Text))
		return oneIf(err == nil && moderate(value) && schema.Validate(value) == nil), nil
	}, nil
}

// noOther loads no schema that another one refers to.
type noOther struct{}

func (noOther) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s; put everything into one file", url)
}

// mostExponent bounds the exponents of numbers.
const mostExponent = 1000

// moderate reports whether no number in a value has a larger exponent.
func moderate(value any) bool {
	switch v := value.(type) {
	case json.Number:
		at := strings.IndexAny(string(v), "eE")
		if at < 0 {
			return true
		}
		n, err := strconv.Atoi(string(v[at+1:]))
		return err == nil && n <= mostExponent && n >= -mostExponent
	case []any:
		for _, of := range v {
			if !moderate(of) {
				return false
			}
		}
	case map[string]any:
		for _, of := range v {
			if !moderate(of) {
				return false
			}
		}
	}
	return true
}
