package hub

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// indexFile lists the files of a model's weights.
const indexFile = "model.safetensors.index.json"

// FetchModel fetches what is needed of a model or an adapter: its weights as safetensors,
// its configuration and its tokenizer, and no Python pickle. It returns their folder. Of a
// repository with nothing but GGUF files it fetches the one that r.Part names, by its name
// or by its quantization, and returns the file.
func (c *Client) FetchModel(ctx context.Context, r Repo) (string, error) {
	return c.model(ctx, r, func(File) bool { return false })
}

// FetchDescription fetches what FetchModel does but the weights: enough for the tokenizer
// and for a plan. A GGUF file has all in one.
func (c *Client) FetchDescription(ctx context.Context, r Repo) (string, error) {
	return c.model(ctx, r, func(f File) bool { return path.Ext(f.Path) == ".safetensors" || f.Path == indexFile })
}

// model fetches the files of a model except some.
func (c *Client) model(ctx context.Context, r Repo, except func(File) bool) (string, error) {
	file := ""
	folder, err := c.Fetch(ctx, r, func(l *Listing, folder string) ([]File, error) {
		chosen, gguf, err := modelFiles(l, folder)
		file = gguf
		return slices.DeleteFunc(chosen, except), err
	})
	if err != nil || file == "" {
		return folder, err
	}
	return filepath.Join(folder, filepath.FromSlash(file)), nil
}

var (
	plainWeights = regexp.MustCompile(`^model(-\d{5}-of-\d{5})?\.safetensors$`)
	ggufShard    = regexp.MustCompile(`-(\d{5})-of-\d{5}\.gguf$`)
	besides      = regexp.MustCompile(`^(?:[^/]+\.(?:json|jinja|model|tiktoken|txt)|additional_chat_templates/[^/]+\.jinja|README\.md|LICENSE[^/]*|NOTICE[^/]*)$`)
)

// maxBesides bounds a file that is not weights: a tokenizer.
const maxBesides = 256 << 20

// modelFiles returns the files of a model to fetch, and the GGUF file if that is the model.
func modelFiles(l *Listing, folder string) (chosen []File, gguf string, err error) {
	var weights, ggufs, pickles []File
	for _, f := range l.Files {
		switch ext := path.Ext(f.Path); {
		case ext == ".gguf":
			ggufs = append(ggufs, f)
		case ext == ".safetensors" && !strings.Contains(f.Path, "/"):
			weights = append(weights, f)
		case slices.Contains([]string{".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack"}, ext):
			pickles = append(pickles, f)
		case besides.MatchString(f.Path) && f.Size <= maxBesides:
			chosen = append(chosen, f)
		}
	}
	if strings.HasSuffix(strings.ToLower(l.Repo.Part), ".gguf") || len(ggufs) > 0 && (len(weights) == 0 || l.Repo.Part != "") {
		chosen, err = ggufFiles(l, ggufs)
		if err != nil {
			return nil, "", err
		}
		return chosen, chosen[0].Path, nil
	}
	switch {
	case l.Repo.Part != "":
		return nil, "", fmt.Errorf("%s: %q after the colon names a GGUF file, and the repository has none", l.Repo, l.Repo.Part)
	case len(weights) == 0 && len(pickles) > 0:
		return nil, "", fmt.Errorf("%s: its weights are %s, which is no safetensors file: a pickle may run any program and is not read; look for a revision with safetensors (refs/pr/1 often is one), or convert it in Python", l.Repo, pickles[0].Path)
	case len(weights) == 0 && l.find("config.json") == nil && l.find("tokenizer.json") == nil:
		return nil, "", fmt.Errorf("%s: the repository has no model: no config.json and no *.safetensors", l.Repo)
	}
	weights, err = weightFiles(l, folder, weights)
	return append(chosen, weights...), "", err
}

// weightFiles returns those of the safetensors files that are the model: those that the
// index names once it is in folder; without an index and model.safetensors all.
func weightFiles(l *Listing, folder string, all []File) ([]File, error) {
	if l.find(indexFile) != nil {
		text, err := readSome(filepath.Join(folder, indexFile), maxBesides)
		if err != nil {
			return nil, nil // Fetch asks again when it is there
		}
		names, err := parseIndex(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", l.Repo, indexFile, err)
		}
		var named []File
		for _, name := range names {
			f := l.find(name)
			if f == nil {
				return nil, fmt.Errorf("%s: %s names %q, which the repository has not", l.Repo, indexFile, shortened(name))
			}
			named = append(named, *f)
		}
		return named, nil
	}
	if slices.ContainsFunc(all, func(f File) bool { return plainWeights.MatchString(f.Path) }) {
		return slices.DeleteFunc(all, func(f File) bool { return !plainWeights.MatchString(f.Path) }), nil
	}
	return all, nil
}

// ggufFiles returns the file, or the parts of it, that the repository's Part names.
func ggufFiles(l *Listing, all []File) ([]File, error) {
	var names []string
	byModel := map[string][]File{}
	for _, f := range all {
		name := ggufShard.ReplaceAllString(f.Path, ".gguf")
		if byModel[name] == nil {
			names = append(names, name)
		}
		byModel[name] = append(byModel[name], f)
	}
	part := strings.ToLower(strings.TrimSuffix(l.Repo.Part, ".gguf"))
	var found []string
	for _, name := range names {
		lower := strings.ToLower(strings.TrimSuffix(name, ".gguf"))
		base := path.Base(lower)
		switch {
		case lower == part || base == part || ggufShard.ReplaceAllString(part+".gguf", "") == lower:
			return byModel[name], nil
		case part == "", strings.HasSuffix(base, "-"+part), strings.HasSuffix(base, "."+part), strings.HasSuffix(base, "_"+part):
			found = append(found, name)
		}
	}
	switch {
	case len(found) == 1:
		return byModel[found[0]], nil
	case len(names) == 0:
		return nil, errors.New(l.Repo.String() + ": the repository has no GGUF file")
	}
	what := "it has GGUF files, and none is named"
	if part != "" {
		what = "no GGUF file, or several, is named by what follows the colon"
	}
	return nil, fmt.Errorf("%s: %s; name one of %s, as %s:NAME", l.Repo, what, listed(names), l.Repo.ID)
}

// listed returns names for a message, not all if they are many.
func listed(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s, … (%d in all)", strings.Join(names[:most], ", "), len(names))
	}
	return strings.Join(names, ", ")
}
