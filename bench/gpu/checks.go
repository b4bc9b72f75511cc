package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// A check is the result of a part of run.sh.
type check struct {
	Device  string `json:"device"` // the device given to run.sh: cuda, or emu, the emulator
	Part    string `json:"part"`
	Status  string `json:"status"` // passed, failed, timed out, killed or skipped
	Seconds int    `json:"seconds"`
	Detail  string `json:"detail"`
}

// readChecks reads one line of JSON per check.
func readChecks(r io.Reader) (*[]check, error) {
	checks := &[]check{}
	for lines := json.NewDecoder(bufio.NewReader(r)); ; {
		var c check
		switch err := lines.Decode(&c); err {
		case nil:
			*checks = append(*checks, c)
		case io.EOF:
			return checks, nil
		default:
			return nil, err
		}
	}
}

func writeChecks(w io.Writer, checks []check) {
	if len(checks) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## The parts of the check\n\n| part | on | | seconds | |\n|---|---|---|--:|---|\n")
	for _, c := range checks {
		fmt.Fprintf(w, "| %s | %s | %s | %d | %s |\n", c.Part, c.Device, c.Status, c.Seconds, c.Detail)
	}
}
