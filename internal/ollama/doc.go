// Package ollama writes models for Ollama: a Modelfile, and the blobs and manifest of its
// store. It translates a model's chat template into Ollama's language.
package ollama
