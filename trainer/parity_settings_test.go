package trainer

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
)

// paritySettings are a case's settings.json: the options of the command line, by the
// same tags.
type paritySettings struct {
	Model     string `option:"model"`
	Method    string `option:"method"`
	Dataset   string `option:"dataset"`
	Eval      string `option:"eval_dataset"`
	Kind      string `option:"bnb_4bit_quant_type"`
	Double    bool   `option:"bnb_4bit_use_double_quant"`
	BlockSize int    `option:"bnb_4bit_blocksize"`
	Compute   string `option:"bnb_4bit_compute_dtype"`
	Run       Args
	Adapters  lora.Options
}

// readParitySettings starts from the defaults. It fails on a setting that is not an
// option, which would otherwise be ignored silently.
func readParitySettings(t *testing.T, path string) *paritySettings {
	t.Helper()
	var values map[string]json.RawMessage
	readJSON(t, path, &values)
	s := &paritySettings{Run: DefaultArgs(), Adapters: lora.DefaultOptions()}
	require.NoError(t, setTagged(reflect.ValueOf(s).Elem(), values))
	require.Empty(t, values, "%s has settings that are not options", path)
	return s
}

// setTagged sets the fields of v whose option tag names a value, and removes it from
// values.
func setTagged(v reflect.Value, values map[string]json.RawMessage) error {
	for field, value := range v.Fields() {
		name, tagged := field.Tag.Lookup("option")
		raw, given := values[name]
		var err error
		switch {
		case tagged && given:
			err = json.Unmarshal(raw, value.Addr().Interface())
			delete(values, name)
		case field.Type.Kind() == reflect.Struct:
			err = setTagged(value, values)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
