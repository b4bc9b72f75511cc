package main

import (
	"slices"
	"strings"

	"qlora/demo/town"
)

// questions are the prompts of the two parts. No topic and no person is in both.
type questions struct{ train, heldOut []string }

// townSeed is the seed of the town that the demonstration's base knows.
const townSeed = 1

// prompts returns questions for a model that chats, or beginnings of texts about the town's people.
func prompts(chats bool) questions {
	if chats {
		return questions{combined(forms, topics[:len(topics)*4/5]), combined(forms, topics[len(topics)*4/5:])}
	}
	q := town.New(townSeed).Questions()
	return questions{combined(beginnings, people(q.Train)), combined(beginnings, people(q.HeldOut))}
}

// forms and topics make questions that have short and long answers.
var (
	forms  = []string{"What is TOPIC?", "Why do people use TOPIC?", "Tell me one fact about TOPIC.", "How does TOPIC work?", "What is TOPIC made of?"}
	topics = []string{
		"a compass", "soap", "a bridge", "a clock", "bread", "a lighthouse", "a sail", "glass", "a library", "a bicycle", "salt", "a candle", "wool",
		"a telescope", "paper", "a battery", "honey", "a ladder", "an umbrella", "ice", "a mirror", "a key", "a drum", "a kite", "a map", "a pump",
		"cheese", "a wheel", "a lens", "a basket", "a bell", "steel", "a fan", "a magnet", "tea", "a canoe", "a spoon", "a saw", "concrete", "a tent",
	}
	beginnings = []string{"Here comes TOPIC.", "Of TOPIC they say", "TOPIC"}
)

// combined returns the forms about each topic, one form after the other, so that the first ones are about many topics.
func combined(forms, topics []string) []string {
	var all []string
	for _, form := range forms {
		for _, topic := range topics {
			all = append(all, strings.ReplaceAll(form, "TOPIC", topic))
		}
	}
	return all
}

// people returns the names that questions are about.
func people(of []town.Record) []string {
	var names []string
	for _, q := range of {
		names = append(names, subject(q))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// subject returns the name of the person that a question is about.
func subject(q town.Record) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(q.Prompt, "?\nA:"), " of ")
	return name
}
