package export

import (
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/internal/atomicfile"
	"qlora/internal/place"
	"qlora/option"
)

// checkOutput returns an error if the file cannot be created, or if it would be one of
// the inputs or lie in one.
func (o *Options) checkOutput() error {
	inputs := append(place.Inputs("an adapter", o.Adapters...), place.Input{What: "the model", Path: o.Model})
	if err := place.CheckOutput("outfile", o.OutFile, o.OutFile, inputs...); err != nil {
		return err
	}
	if info, err := os.Stat(o.OutFile); err == nil {
		if info.IsDir() {
			return option.Errorf("outfile", o.OutFile, "that is a folder: name a file in it, such as %s", filepath.Join(o.OutFile, "model.gguf"))
		}
		return option.Errorf("outfile", o.OutFile, "it exists: name a new file")
	}
	return place.CheckCreate("outfile", filepath.Dir(filepath.Clean(o.OutFile)))
}

// checkFolder returns an error if output_dir cannot be created, is not empty, or lies in
// one of the inputs.
func (o *Options) checkFolder() error {
	inputs := append(place.Inputs("an adapter", o.Adapters...), place.Input{What: "the model", Path: o.Model})
	if err := place.CheckOutput("output_dir", o.OutputDir, o.OutputDir, inputs...); err != nil {
		return err
	}
	return checkpoint.CheckOutput(o.OutputDir)
}

// replaceDir creates output_dir, with what fill writes, as a whole or not at all.
func replaceDir(dir string, fill func(tmp string) error) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return place.NotCreated("output_dir", dir, err)
	}
	return atomicfile.ReplaceDir(dir, fill)
}

// makeFolder creates the folder of the output.
func (o *Options) makeFolder() error {
	dir := filepath.Dir(filepath.Clean(o.OutFile))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return place.NotCreated("outfile", o.OutFile, err)
	}
	return nil
}
