// Command qlora fine-tunes large language models with QLoRA.
package main

import (
	"os"

	"qlora/cmd/internal/verbs"
)

func main() { os.Exit(int(verbs.Main(verbs.Root(), os.Args[1:]))) }
