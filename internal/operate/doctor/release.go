package doctor

import "fmt"

// Devel is the release of a stack, or of a dcvbroker, that was built from a checkout.
const Devel = "devel"

// compareReleases tells an operator whose dcvbroker is not the stack's: each knows the other's records and parameters as they
// were in its own release.
func (d *Doctor) compareReleases(r *Report) {
	const about = "the stack"
	switch {
	case d.Program == "":
	case d.Release == "":
		r.note(about, "", "does not say which release it is: it is older than the output Version. This dcvbroker is %s", d.Program)
	case d.Release != d.Program:
		r.note(about, "", "is release %s, this dcvbroker is %s: use the dcvbroker of the stack's release", d.Release, d.Program)
	case d.Release == Devel:
		r.Well = append(r.Well, "the stack and this dcvbroker are built from checkouts, whose commits they do not know")
	default:
		r.Well = append(r.Well, fmt.Sprintf("the stack and this dcvbroker are release %s", d.Release))
	}
}
