package trainer

import (
	"qlora/bindings"
	"qlora/checkpoint"
)

// computeType returns the type that a device computes in, as torch names it.
func computeType(device bindings.Info) string {
	return checkpoint.DType(device.Activation.String()).Torch()
}

// ContinuedCompute returns the compute type of the run that a run with these settings
// continues or repeats, as "bfloat16": a run's device must compute in the type that the run
// began with. It returns "" if there is no such run; [New] reports what is wrong with it.
func (a *Args) ContinuedCompute() string {
	switch {
	case a.resumes() && a.Resume != ResumeNewest:
		if p, err := readProgress(a.Resume); err == nil {
			return p.Identity.Compute
		}
		return ""
	case a.Overwrite:
		return ""
	}
	held, _, err := readRecord(a.OutputDir)
	if err == nil && held == nil {
		held, err = recordOfCheckpoints(a.OutputDir)
	}
	if err != nil {
		return ""
	}
	return held.Identity.Compute
}
