// Package hub reads and writes repositories of the Hugging Face Hub, or of a server that
// speaks its API.
//
// Downloads go to the cache that Python's huggingface_hub uses, in its layout, so that each
// program finds what the other fetched (https://huggingface.co/docs/hub/local-cache). A file
// appears in the cache when it is whole and its hash is right; until then it is
// blobs/HASH.incomplete, always the beginning of the file, from which the next download goes
// on. Uploads are one commit by the commit API, with large files by Git LFS
// (https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).
//
// The token is sent to the endpoint alone: never to another host, scheme or port that an
// answer redirects to. No message contains it, nor the query of an address, which may be a
// signature.
package hub
