package verbs

import (
	"context"
	"os"

	"qlora/trainer/dataset"
)

// sets returns what read returns, the records of a run. Of the ranks of a host the first
// one reads them, in the cache or anew. The others wait for it, for as long as ranks wait,
// and share its token ids; one that was given other records finds none there and reads its
// own.
func (l *launched) sets(ctx context.Context, cache *dataset.Cache, read func(*dataset.Cache) (train, eval *dataset.Set, err error)) (train, eval *dataset.Set, err error) {
	if l.size() == 1 {
		return read(cache)
	}
	folder := ""
	if l.LocalRank == 0 {
		if l.LocalSize > 1 {
			if folder, err = os.MkdirTemp("", "qlora-tokens-"); err == nil {
				defer os.RemoveAll(folder)
			} // else each rank reads for itself
		}
		if cache == nil && folder != "" {
			cache = dataset.NewCache(folder)
		}
		if train, eval, err = read(cache); err != nil {
			return nil, nil, err
		}
		if folder != "" && cache.Share(folder) != nil {
			folder = ""
		}
	}
	folders, err := tell(ctx, l.control, folder)
	if err != nil {
		return nil, nil, err
	}
	if l.LocalRank > 0 {
		if from := folders[l.firstOfHost()]; from != "" {
			cache = dataset.SharedCache(from)
		}
		if train, eval, err = read(cache); err != nil {
			return nil, nil, err
		}
	}
	_, err = tell(ctx, l.control, true) // all have what they need of the folder
	return train, eval, err
}

// firstOfHost returns the first rank of this one's host.
func (l *launched) firstOfHost() int {
	for rank, m := range l.members {
		if m.Boot == l.members[l.Rank].Boot {
			return rank
		}
	}
	return l.Rank
}
