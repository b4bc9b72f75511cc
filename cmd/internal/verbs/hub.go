package verbs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/hub"
	"qlora/internal/diskfull"
	"qlora/trainer/dataset"
)

// hubOptions are the options of what is fetched from the Hugging Face Hub.
type hubOptions struct {
	Revision string `option:"revision" alias:"model_revision" help:"branch, tag or commit of a model on the Hugging Face Hub; default: that after @ in its name, or main"`
	Cache    string `option:"cache_dir" path:"true" help:"folder of what is downloaded from the Hub; default: HF_HUB_CACHE, or hub in HF_HOME, or ~/.cache/huggingface/hub"`
	Token    string `option:"token" alias:"hf_hub_token" secret:"true" help:"of an account on the Hub; better in HF_TOKEN or by hf auth login, because others see a command line"`
	Offline  bool   `option:"local_files_only" help:"use what the cache of the Hub has, as HF_HUB_OFFLINE=1 does"`
}

// client returns a client of the Hub with these options.
func (o *hubOptions) client(c *call) (*hub.Client, error) {
	h, err := hub.FromEnvironment()
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	if o.Cache != "" {
		h.Cache = o.Cache
	}
	if o.Token != "" {
		h.Token = o.Token
	}
	h.Offline = h.Offline || o.Offline
	h.Note = c.note
	return h, nil
}

// A fetcher fetches what is needed of a repository, and returns where it is.
type fetcher func(*hub.Client, context.Context, hub.Repo) (string, error)

// models replaces the options that name models and adapters on the Hub by their folders in
// its cache, and fetches them: of the base what how fetches.
func (o *hubOptions) models(c *call, how fetcher) error {
	if err := c.set.Locate("model", func(option, text string) (string, error) {
		return o.model(c, option, text, o.Revision, how)
	}); err != nil {
		return err
	}
	return c.set.Locate("adapter", func(option, text string) (string, error) {
		return o.model(c, option, text, "", (*hub.Client).FetchModel)
	})
}

// model returns the folder, or the GGUF file, of a model or an adapter.
func (o *hubOptions) model(c *call, option, text, revision string, how fetcher) (string, error) {
	r, ok := o.onHub(c, hub.Model, option, text)
	if !ok {
		if revision != "" && revision != hub.DefaultRevision {
			c.note(fmt.Sprintf("--revision %s has no effect on the folder %s", revision, text))
		}
		return text, nil
	}
	if revision != "" {
		if r.Revision != hub.DefaultRevision && r.Revision != revision {
			return "", exit.Wrongf("--%s names the revision %s, and --revision is %s; give one of them", option, r.Revision, revision)
		}
		r.Revision = revision
	}
	return o.fetch(c, option, r, how)
}

// fetch fetches a repository, shows the progress, and says where it is.
func (o *hubOptions) fetch(c *call, option string, r hub.Repo, how fetcher) (string, error) {
	h, err := o.client(c)
	if err != nil {
		return "", err
	}
	progress, done := c.progress("downloading "+r.ID, true)
	h.Progress = progress
	path, err := how(h, c, r)
	done()
	switch {
	case c.Err() != nil:
		return "", context.Cause(c)
	case errors.Is(err, hub.ErrNotFound) && option != "":
		return "", exit.Wrongf("--%s: no such folder is here, and on the Hub: %w", option, err)
	case errors.Is(err, hub.ErrUnreachable) && option != "":
		return "", fmt.Errorf("--%s %s: no such folder is here, and %w", option, r, err)
	case errors.Is(err, hub.ErrUnreachable), errors.Is(err, hub.ErrDamaged), diskfull.Is(err):
		return "", err
	}
	return path, exit.AsWrong(err)
}

// onHub returns the repository that a text names, if it is no path. What exists is a path.
func (o *hubOptions) onHub(c *call, kind hub.Kind, option, text string) (hub.Repo, bool) {
	r, err := hub.Parse(kind, text)
	if hub.IsAddress(text) {
		return r, err == nil
	}
	org, name, _ := strings.Cut(r.ID, "/")
	switch {
	case err != nil || slices.Contains(localFolders, strings.ToLower(org)) || kind == hub.Dataset && dataset.IsRecords(name):
		return r, false
	case exists(text) || exists(r.ID):
		if h, err := o.client(c); err == nil && h.Has(r) {
			c.note(fmt.Sprintf("--%s %s: the folder of that name is used, not what is in the Hub's cache; hf://%[2]s names the latter", option, text))
		}
		return r, false
	}
	return r, true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// localFolders are names of folders that people keep models and data in, and no one's on
// the Hub.
var localFolders = []string{
	"adapters", "checkpoint", "checkpoints", "data", "dataset", "datasets", "home", "merged", "model", "models", "mnt", "out", "output", "outputs", "results", "tmp", "workspace",
}

// datasets returns datasets with the folders of those that are on the Hub, which it fetches.
func (o *hubOptions) datasets(c *call, option string, names []string) ([]string, error) {
	return dataset.Located(names, func(d dataset.Reference) (string, error) {
		r, ok := o.onHub(c, hub.Dataset, option, d.Path)
		if !ok {
			return d.Path, nil
		}
		if d.Revision != "" {
			r.Revision = d.Revision
		}
		part := strings.ReplaceAll(r.Part, "/", ":")
		folder, err := o.fetchDataset(c, option, r, part, d.Config, d.Files)
		if part != "" {
			part = ":" + part
		}
		return folder + part, err
	})
}

// fetchDataset fetches the files of a dataset that are read of it, and returns its folder.
func (o *hubOptions) fetchDataset(c *call, option string, r hub.Repo, part, config string, files []string) (string, error) {
	wanted := []string{""}
	switch {
	case len(files) > 0:
		wanted = nil
		for _, file := range files {
			wanted = append(wanted, "/"+file)
		}
	case config != "":
		wanted = []string{":" + config}
	case part != "":
		wanted = []string{":" + part}
	}
	return o.fetch(c, option, r, func(h *hub.Client, ctx context.Context, r hub.Repo) (string, error) {
		return h.Fetch(ctx, r, func(l *hub.Listing, folder string) ([]hub.File, error) { return datasetFiles(l, folder, wanted) })
	})
}

// maxDescription bounds a file that describes a dataset.
const maxDescription = 16 << 20

// datasetFiles returns the files of a dataset to fetch: first those that describe it, and
// then those that package dataset reads of a folder with all files of the listing. wanted
// are what follows the folder's path.
func datasetFiles(l *hub.Listing, folder string, wanted []string) ([]hub.File, error) {
	var descriptions []hub.File
	for _, f := range l.Files {
		if dataset.IsDescription(f.Path) && f.Size <= maxDescription {
			descriptions = append(descriptions, f)
		}
	}
	if slices.ContainsFunc(descriptions, func(f hub.File) bool { return !exists(filepath.Join(folder, filepath.FromSlash(f.Path))) }) {
		return descriptions, nil
	}
	// A folder with the names alone is read by the rules for folders.
	names, err := os.MkdirTemp("", "qlora-names-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(names)
	byPath := map[string]hub.File{}
	for _, f := range l.Files {
		local := filepath.FromSlash(f.Path)
		if !filepath.IsLocal(local) || !dataset.IsRecords(f.Path) && !dataset.IsDescription(f.Path) {
			continue
		}
		at := filepath.Join(names, local)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return nil, err
		}
		var text []byte
		if dataset.IsDescription(f.Path) && f.Size <= maxDescription {
			if text, err = os.ReadFile(filepath.Join(folder, local)); err != nil {
				return nil, err
			}
		}
		if err := os.WriteFile(at, text, 0o600); err != nil {
			return nil, err
		}
		byPath[at] = f
	}
	chosen := descriptions
	for _, one := range wanted {
		files, err := dataset.FilesOf(names + one)
		if err != nil {
			return nil, withoutRecords(l, strings.ReplaceAll(err.Error(), names, l.Repo.ID))
		}
		for _, file := range files {
			chosen = append(chosen, byPath[file])
		}
	}
	return chosen, nil
}

// withoutRecords returns an error of a repository's names. A dataset whose files a script
// makes often has them as Parquet on a branch of its own.
func withoutRecords(l *hub.Listing, why string) error {
	if slices.ContainsFunc(l.Files, func(f hub.File) bool { return strings.HasSuffix(f.Path, ".py") }) {
		why += fmt.Sprintf("; it has a script, which is not run: the Hub often has its records as %s@refs/convert/parquet", l.Repo.ID)
	}
	return errors.New(why)
}
