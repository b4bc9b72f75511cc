package recipe

import (
	"io"
	"os"

	"qlora/cmd/internal/foreign"
	"qlora/cmd/internal/options"
)

// deepSpeed takes the stage of ZeRO from a file of DeepSpeed's. Its other values are those of the
// recipe, or auto, which means them.
func deepSpeed(_ *reader, e options.Entry) options.Step {
	if off(e.Text) {
		return note(sharedOut)
	}
	file, err := os.Open(e.Text)
	if err != nil {
		return note("that file is not here; `fsdp` shard_optim, shard_grad_op and full_shard do what ZeRO's stages 1 to 3 do")
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, foreign.MaxDeepSpeed+1))
	if err != nil {
		return refuse(err.Error())
	}
	given, err := foreign.DeepSpeed(text)
	if err != nil {
		return refuse(err.Error())
	}
	return options.Step{Sets: given[:1]}
}
