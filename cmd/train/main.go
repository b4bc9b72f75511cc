// Command train is `qlora train` under its own name.
package main

import (
	"os"

	"qlora/cmd/internal/verbs"
)

func main() { os.Exit(int(verbs.Main(verbs.Train(), os.Args[1:]))) }
