package foreign

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"qlora/cmd/internal/options"
)

// The keys of fsdp_config, without the prefix fsdp_ that old ones have, and what is wrong with a
// value; "": nothing, as it says how torch does what is done here anyway.
var fsdpKeys = map[string]struct {
	quiet  []string // values that are right
	refuse string   // what takes the place of others
}{
	"reshard_after_forward": {[]string{"true", "full_shard", "hybrid_shard"}, "a layer's weights never stay gathered; leave it out"},
	"offload_params":        {[]string{"false"}, "what a rank holds of the base stays on its device; leave it out"},
	"cpu_offload":           {[]string{"false"}, "what a rank holds of the base stays on its device; leave it out"},
	"xla":                   {[]string{"false"}, "XLA devices are not supported; leave it out"},

	"version": {}, "min_num_params": {}, "transformer_layer_cls_to_wrap": {}, "auto_wrap_policy": {}, "backward_prefetch": {}, "backward_prefetch_policy": {},
	"forward_prefetch": {}, "limit_all_gathers": {}, "use_orig_params": {}, "sync_module_states": {}, "cpu_ram_efficient_loading": {},
	"state_dict_type": {}, "xla_fsdp_v2": {}, "xla_fsdp_settings": {}, "xla_fsdp_grad_ckpt": {}, "sharding_strategy": {}, "mixed_precision_policy": {},
}

// fsdpConfig translates fsdp_config: a mapping, or a JSON file that has one.
func fsdpConfig(value string, _ func(string) string) ([]options.Given, error) {
	if strings.HasSuffix(value, ".json") {
		text, err := os.ReadFile(value)
		if err != nil {
			return nil, err
		}
		if !json.Valid(text) {
			return nil, fmt.Errorf("%s is not JSON", value)
		}
		value = string(text)
	}
	members, err := object(value)
	if err != nil {
		return nil, err
	}
	var given []options.Given
	for _, m := range members {
		name := strings.TrimPrefix(m.Name, "fsdp_")
		if name == "activation_checkpointing" {
			given = append(given, options.Given{Name: "gradient_checkpointing", Text: m.Text})
			continue
		}
		key, known := fsdpKeys[name]
		switch {
		case !known:
			return nil, fmt.Errorf("%s is not a key of it", m.Name)
		case key.refuse != "" && !slices.Contains(key.quiet, strings.ToLower(m.Text)):
			return nil, fmt.Errorf("%s is %s in it, but %s", m.Name, m.Text, key.refuse)
		}
	}
	return given, nil
}
