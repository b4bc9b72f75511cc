package verbs

import (
	"fmt"
	"slices"
	"strings"

	"qlora/trainer/dataset"
)

// statisticsOf formats the lengths of the documents and the share of trained tokens.
func statisticsOf(set *dataset.Set) string {
	var lengths []int
	tokens, trained := 0, 0
	for _, e := range set.Examples {
		for d := range e.Documents() {
			lengths = append(lengths, len(d.IDs))
		}
		tokens += len(e.IDs)
		trained += e.Trained()
	}
	slices.Sort(lengths)
	var b strings.Builder
	fmt.Fprintf(&b, "%d documents, %d tokens, %.1f %% of them trained on\n", len(lengths), tokens, 100*float64(trained)/float64(tokens))
	fmt.Fprintf(&b, "tokens per document: min %d, median %d, mean %.1f, 90 %% up to %d, max %d\n",
		lengths[0], quantile(lengths, 0.5), float64(tokens)/float64(len(lengths)), quantile(lengths, 0.9), lengths[len(lengths)-1])
	b.WriteString(histogram(lengths))
	total := set.Report.Total()
	fmt.Fprintf(&b, "%d records were truncated, %d were dropped because nothing of them is trained on%s\n", total.Truncated, total.Dropped, bad(total.Bad))
	if p := set.Report.Packing; p != nil {
		fmt.Fprintf(&b, "%v\n", p)
	}
	return b.String()
}

// bad returns the number of bad records for the end of a line, or "" if there are none.
func bad(records int) string {
	if records == 0 {
		return ""
	}
	return fmt.Sprintf(", %d were skipped because they cannot be read", records)
}

// quantile returns the smallest of the sorted values that a share q does not exceed.
func quantile(sorted []int, q float64) int {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// histogram returns one line for each of up to ten ranges of the sorted values.
func histogram(sorted []int) string {
	const most, width = 10, 40
	low, high := sorted[0], sorted[len(sorted)-1]
	step := (high-low)/most + 1
	counts := make([]int, (high-low)/step+1)
	for _, n := range sorted {
		counts[(n-low)/step]++
	}
	largest := slices.Max(counts)
	digits := len(fmt.Sprint(high))
	var b strings.Builder
	for i, n := range counts {
		bar := strings.Repeat("█", n*width/largest)
		if bar == "" && n > 0 {
			bar = "▏"
		}
		fmt.Fprintf(&b, "  %*d - %*d  %*d  %s\n", digits, low+i*step, digits, min(low+(i+1)*step-1, high), len(fmt.Sprint(len(sorted))), n, bar)
	}
	return b.String()
}
