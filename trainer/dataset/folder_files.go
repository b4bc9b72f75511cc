package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
)

// FilesOf returns the files that Load reads of a path for any purpose: of a folder or
// folder:configuration those of all splits, because a configuration is read only if all are
// there. It reads no file's content but of those that IsDescription names.
func FilesOf(name string) ([]string, error) {
	dir, choice, isFolder := folderOf(name)
	var own source
	if !isFolder {
		err := own.find(name, ForTraining)
		return own.files, err
	}
	f, choice, err := findFolder(dir, choice)
	if err != nil {
		return nil, err
	}
	if f == nil {
		if err := own.plainFolder(dir); !errors.Is(err, errNoFiles) {
			return own.files, errors.Join(err, f.choose(dir, choice))
		}
		if f, err = deepFolder(dir); f == nil {
			return nil, errors.Join(err, fmt.Errorf("%s: %w one of %s", dir, errNoFiles, endings()))
		}
	}
	var files []string
	for _, s := range f.splits {
		files = append(files, s.files...)
	}
	return files, f.choose(dir, choice)
}

// IsDescription reports whether a file of a dataset's folder, by its name, describes the
// folder's parts to FilesOf and Load.
func IsDescription(name string) bool {
	return name == "README.md" || isNotData(path.Base(name))
}

// IsRecords reports whether Load can read a file with that name as records.
func IsRecords(name string) bool {
	_, ok := fileTypeOf(name)
	return ok && !isNotData(path.Base(name))
}

// A Reference is what a dataset as Load takes it names: a path, or something elsewhere that
// must be fetched first.
type Reference struct {
	Path     string
	Config   string   // of a description; "": none
	Revision string   // of a description; "": none
	Files    []string // of a description, below the path; nil: as Load chooses
}

// Located returns datasets as Load takes them, with each path replaced by what find returns
// for it.
func Located(names []string, find func(Reference) (path string, err error)) ([]string, error) {
	located := make([]string, len(names))
	for i, name := range names {
		if !described.MatchString(name) {
			var err error
			if located[i], err = find(Reference{Path: name}); err != nil {
				return nil, err
			}
			continue
		}
		var d description
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(name), &d) != nil || json.Unmarshal([]byte(name), &members) != nil {
			located[i] = name // Load says what is wrong
			continue
		}
		path, err := find(Reference{Path: d.Path, Config: d.Config, Revision: d.Revision, Files: d.DataFiles})
		if err != nil {
			return nil, err
		}
		if path == d.Path {
			located[i] = name
			continue
		}
		text, err := json.Marshal(path)
		if err != nil {
			return nil, err
		}
		members["path"] = text
		if text, err = json.Marshal(members); err != nil {
			return nil, err
		}
		located[i] = string(text)
	}
	return located, nil
}
