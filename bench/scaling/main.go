// Command scaling prints the model of how runs scale in docs/distributed.md: the share of
// its own speed that a GPU keeps among others. Nothing in it is measured; its assumptions
// are the numbers of model.go.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	write(os.Stdout)
	fmt.Println()
	writeSharded(os.Stdout)
}

// counts are the numbers of GPUs.
var counts = []int{2, 8, 64, 1000}

func write(w io.Writer) {
	fmt.Fprint(w, "| nodes |")
	for _, m := range models {
		for _, accumulation := range accumulations {
			fmt.Fprintf(w, " %s, %d |", m.name, accumulation)
		}
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(models)*len(accumulations)))
	for _, c := range clusters {
		fmt.Fprintf(w, "| %s |", c.name)
		for _, m := range models {
			for _, accumulation := range accumulations {
				var shares []string
				for _, n := range counts {
					shares = append(shares, fmt.Sprintf("%.0f", 100*replicas(m, c, n, accumulation)))
				}
				fmt.Fprintf(w, " %s |", strings.Join(shares, " "))
			}
		}
		fmt.Fprintln(w)
	}
}

// accumulations are micro-batches of a GPU in a step.
var accumulations = []int{1, 8}
