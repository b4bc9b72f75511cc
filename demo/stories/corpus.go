package stories

import (
	"math/rand/v2"
	"strings"
)

// Corpus returns n stories, drawn from the seed.
//
// A story first tells who has what and who is where, then comes back to each of it from another side ("The kite belongs to Ann."). A model can only
// foresee the second half by looking things up in the first, in every direction; that skill is what the questions build on.
func Corpus(n int, seed uint64) []string {
	rng := rand.New(rand.NewPCG(seed, 1))
	texts := make([]string, n)
	for i := range texts {
		children := cast(rng, 1+rng.IntN(3), anyPair)
		texts[i] = strings.Join(append(opening(rng, children), recall(rng, children)...), " ")
	}
	return texts
}

// opening tells each child's toy, colour and place, in any order of children and with the two sentences of a child apart or together.
func opening(rng *rand.Rand, children []child) []string {
	var lines []string
	for _, c := range children {
		lines = append(lines, pick(rng,
			c.nameWord()+" has a "+c.colourWord()+" "+c.toyWord()+".",
			c.nameWord()+" found a "+c.colourWord()+" "+c.toyWord()+".",
		))
	}
	for _, c := range children {
		lines = append(lines, pick(rng,
			c.nameWord()+" is in the "+c.placeWord()+".",
			c.nameWord()+" went to the "+c.placeWord()+".",
		))
	}
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

// recall says again what the opening told, each thing from another side, in any order.
func recall(rng *rand.Rand, children []child) []string {
	var lines []string
	for _, c := range children {
		name, toy, colour, place := c.nameWord(), c.toyWord(), c.colourWord(), c.placeWord()
		lines = append(lines,
			pick(rng, "The "+toy+" belongs to "+name+".", "The "+toy+" of "+name+" is "+colour+"."),
			pick(rng, "The "+toy+" is "+colour+".", "The "+colour+" "+toy+" is nice."),
			pick(rng, name+" has a "+colour+" "+toy+".", name+" plays with the "+colour+" "+toy+".", name+" likes the "+toy+"."),
			pick(rng, "In the "+place+" we see "+name+".", "From the "+place+" comes "+name+"."),
			pick(rng, name+" is in the "+place+".", name+" sings in the "+place+".", name+" sleeps in the "+place+"."),
		)
	}
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

func pick(rng *rand.Rand, choices ...string) string { return choices[rng.IntN(len(choices))] }
