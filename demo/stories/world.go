// Package stories writes the demonstration's texts: a small world of children, toys and places told in plain sentences, and questions about it.
//
// Everything is a pure function of a seed. The base model of the demonstration is trained on [Corpus], which tells stories and never asks anything; the
// demonstration then tunes it on [Questions], so that a model which could only go on with a story answers questions about one that it has not seen.
package stories

import "math/rand/v2"

// The words of the world. A story draws from each list without repetition, so that every child, toy, colour and place names one thing in it.
var (
	names = []string{
		"Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Ida", "Jack", "Kim", "Leo", "Mia", "Ned", "Olga", "Pia", "Rob", "Sam", "Tom", "Uma", "Zoe",
	}
	toys    = []string{"ball", "kite", "boat", "drum", "car", "doll", "bell", "book", "cup", "hat", "flute", "train", "bear", "map", "coin", "lamp"}
	colours = []string{"red", "blue", "green", "white", "black", "brown", "pink", "gold"}
	places  = []string{"garden", "park", "kitchen", "forest", "school", "barn", "river", "attic", "market", "yard"}
)

// child is what a story knows about one of its children; each field is an index into the list of its name.
type child struct{ name, toy, colour, place int }

func (c child) nameWord() string   { return names[c.name] }
func (c child) toyWord() string    { return toys[c.toy] }
func (c child) colourWord() string { return colours[c.colour] }
func (c child) placeWord() string  { return places[c.place] }

// cast draws n children who share no word, whose (name, toy) pairs all satisfy the rule.
func cast(rng *rand.Rand, n int, rule func(name, toy int) bool) []child {
	for {
		name, toy := rng.Perm(len(names)), rng.Perm(len(toys))
		colour, place := rng.Perm(len(colours)), rng.Perm(len(places))
		children := make([]child, n)
		whole := true
		for i := range children {
			children[i] = child{name[i], toy[i], colour[i], place[i]}
			whole = whole && rule(name[i], toy[i])
		}
		if whole {
			return children
		}
	}
}

func anyPair(int, int) bool { return true }

// heldOut is the rule that parts the questions: one (name, toy) pair in five is asked about only where accuracy is measured. A child's name and toy are
// told in every story, so no held-out story or question can stand among those the adapter was trained on.
func heldOut(name, toy int) bool   { return (name+2*toy)%5 == 0 }
func trainedOn(name, toy int) bool { return !heldOut(name, toy) }
