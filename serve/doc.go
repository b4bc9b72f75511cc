// Package serve answers requests of OpenAI's API
// (https://platform.openai.com/docs/api-reference): chat completions, completions and the
// list of models, with one base and several adapters on it, of which a request chooses one
// by the name of its model. It also serves a page that compares two of them.
//
// One goroutine owns the device. Requests join and leave it between two passes, so that a
// long answer delays no other one: each pass computes the next token of all running
// requests, and a part of one prompt. A request that its client gives up ends before the
// next pass.
package serve
