package export

import (
	"os"
	"path/filepath"

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

// makeFolder creates the folder of the output.
func (o *Options) makeFolder() error {
	dir := filepath.Dir(filepath.Clean(o.OutFile))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return place.NotCreated("outfile", o.OutFile, err)
	}
	return nil
}
