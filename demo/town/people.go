// Package town writes the demonstration's texts: statements about the people of a small town, and questions about them.
//
// Everything is a pure function of a seed. The base model of the demonstration is trained on [Town.Corpus], which has no questions; the demonstration
// tunes it on the questions about some of the people and measures it on those about others ([Town.Questions]). Its answers about people outside the training
// questions come from the base; the adapter taught it how to answer.
package town

import "math/rand/v2"

var names = [...]string{
	"Ada", "Agnes", "Albert", "Alice", "Amos", "Anna", "Arno", "Astrid", "Basil", "Bella", "Ben", "Berta", "Bruno", "Carl", "Cecil", "Clara",
	"Cleo", "Conrad", "Cora", "Cyrus", "Daisy", "Dan", "Delia", "Derek", "Dora", "Edgar", "Edith", "Edwin", "Ella", "Emil", "Emma", "Enid",
	"Erik", "Esther", "Eva", "Felix", "Fiona", "Flora", "Frank", "Frida", "George", "Gerda", "Gilbert", "Gloria", "Greta", "Gus", "Hanna", "Harald",
	"Hazel", "Helen", "Henry", "Herman", "Hilda", "Hugo", "Ida", "Igor", "Ines", "Ira", "Irene", "Isaac", "Ivan", "Ivy", "Jack", "Jacob",
	"Jane", "Jasper", "Joan", "Jonas", "Judith", "Julia", "Karin", "Kaspar", "Kim", "Klaus", "Laura", "Leo", "Lina", "Louis", "Lucy", "Magnus",
	"Marta", "Max", "Mia", "Milo", "Mona", "Nadia", "Ned", "Nina", "Nora", "Olga", "Oscar", "Otto", "Paula", "Peter", "Petra", "Quentin",
	"Rita", "Robert", "Rosa", "Rufus", "Ruth", "Sam", "Selma", "Simon", "Sofia", "Stella", "Sven", "Tessa", "Theo", "Tilda", "Tom", "Ulla",
	"Uma", "Vera", "Victor", "Vincent", "Viola", "Walter", "Wanda", "Werner", "Willa", "Xenia", "Yara", "Yuri", "Zelda", "Zoe", "Fritz", "Luise",
}

// relation is a kind of fact that exists for everyone.
type relation struct {
	values []string
	tell   []string // sentences, with NAME and VALUE
	clause string   // the same after another clause about the same person
	aside  string   // the same in a sentence whose person is named in the previous one
	noun   string   // its name in lists and questions
}

var relations = [...]relation{
	{
		values: []string{
			"baker", "doctor", "farmer", "tailor", "teacher", "painter", "sailor", "smith", "judge", "miner", "writer", "hunter", "mason", "nurse", "miller", "clerk",
		},
		tell:   []string{"NAME is a VALUE.", "NAME works as a VALUE.", "The work of NAME is that of a VALUE."},
		clause: "is a VALUE",
		aside:  "the work is that of a VALUE",
		noun:   "work",
	},
	{
		values: []string{
			"hill", "harbour", "market", "bridge", "forest", "castle", "river", "station", "church", "park", "school", "mill", "lake", "wall", "gate", "tower",
		},
		tell:   []string{"NAME lives by the VALUE.", "The house of NAME stands by the VALUE.", "NAME sleeps by the VALUE."},
		clause: "lives by the VALUE",
		aside:  "the house stands by the VALUE",
		noun:   "house",
	},
	{
		values: []string{
			"flute", "drum", "harp", "horn", "fiddle", "piano", "guitar", "organ", "cello", "banjo", "lute", "whistle", "trumpet", "bell", "zither", "oboe",
		},
		tell:   []string{"NAME plays the VALUE.", "In the evening NAME plays the VALUE.", "The music of NAME comes from the VALUE."},
		clause: "plays the VALUE",
		aside:  "the music comes from the VALUE",
		noun:   "music",
	},
	{
		values: []string{
			"red", "blue", "green", "white", "black", "brown", "pink", "gold", "grey", "yellow", "purple", "orange", "silver", "violet", "ivory", "scarlet",
		},
		tell:   []string{"NAME wears VALUE.", "The coat of NAME is VALUE.", "On Sunday NAME wears VALUE."},
		clause: "wears VALUE",
		aside:  "the coat is VALUE",
		noun:   "coat",
	},
	{
		values: []string{
			"cat", "dog", "goat", "horse", "duck", "parrot", "rabbit", "pony", "goose", "turtle", "hen", "sheep", "donkey", "mouse", "fox", "pig",
		},
		tell:   []string{"NAME has a VALUE.", "The pet of NAME is a VALUE.", "NAME feeds a VALUE."},
		clause: "has a VALUE",
		aside:  "the pet is a VALUE",
		noun:   "pet",
	},
}

// Town holds the facts: facts[person][relation] is an index into the relation's values.
type Town struct {
	facts [len(names)][len(relations)]int
	seed  uint64
}

// New returns a town drawn from the seed. All values of a relation are equally frequent.
func New(seed uint64) *Town {
	t := &Town{seed: seed}
	rng := rand.New(rand.NewPCG(seed, 1))
	for r := range relations {
		for i, person := range rng.Perm(len(names)) {
			t.facts[person][r] = i % len(relations[r].values)
		}
	}
	return t
}

func (t *Town) value(person, r int) string { return relations[r].values[t.facts[person][r]] }
