package trainer_test

import (
	"context"
	"fmt"
	"log"

	"qlora/bindings/cpu"
	"qlora/lora"
	"qlora/trainer"
)

// Tune a chat model by QLoRA on a file of conversations, then ask it a question.
func Example() {
	ctx, device := context.Background(), must(cpu.New(cpu.Options{}))
	defer device.Close()
	base := must(trainer.OpenBase("model"))
	defer base.Close()
	base.LoadIn4Bit()
	base.ApplyLora(lora.DefaultConfig())
	chats := must(base.Dataset("chats.jsonl"))

	args := trainer.DefaultArgs()
	args.OutputDir, args.LearningRate = "adapter", 1e-3
	run := trainer.Run{Base: base, Args: args, TrainSet: chats.Examples, Device: device}
	fmt.Println("steps:", must(trainer.Tune(ctx, run)).GlobalStep)

	chat := must(base.Chat(device, args.OutputDir, 256))
	defer chat.Close()
	fmt.Println("answer:", must(chat.Answer(ctx, "Who tunes?")))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
