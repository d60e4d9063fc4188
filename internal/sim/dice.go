package sim

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

// dice are the only source of chance in a run. What they make of the
// generator's numbers is spelled out here, so that another version of Go makes
// the same of a seed; PCG's numbers themselves are specified.
type dice struct{ pcg *rand.PCG }

func newDice(seed uint64) dice { return dice{rand.NewPCG(seed, 0x5e5510)} }

// newOtherDice are a seed's second dice: draws from them do not change the rest of the
// seed.
func newOtherDice(seed uint64) dice { return dice{rand.NewPCG(seed, 0x5e5511)} }

// newRuleDice are the dice for rules.
func newRuleDice(seed uint64) dice { return dice{rand.NewPCG(seed, 0x5e5512)} }

// newTagDice are the dice for tags that limit hosts to an owner.
func newTagDice(seed uint64) dice { return dice{rand.NewPCG(seed, 0x5e5513)} }

// newMomentDice are the dice for times below a millisecond.
func newMomentDice(seed uint64) dice { return dice{rand.NewPCG(seed, 0x5e5514)} }

// below returns one of 0 ... n-1.
func (d dice) below(n int) int {
	hi, _ := bits.Mul64(d.pcg.Uint64(), uint64(n))
	return int(hi)
}

// chance is true with that probability, in millionths.
func (d dice) chance(millionths int) bool { return d.below(1_000_000) < millionths }

// between returns a duration of whole milliseconds.
func (d dice) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.below(int((most-least)/time.Millisecond)+1))*time.Millisecond
}

func oneOf[T any](d dice, all []T) T { return all[d.below(len(all))] }

// weighted returns the index of one of the weights, with a probability in proportion to
// it.
func (d dice) weighted(weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := d.below(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	panic("sim: no weights")
}

const (
	percent  = 10_000 // in millionths
	permille = 1_000
)
