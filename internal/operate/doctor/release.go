package doctor

import "fmt"

// Devel is the release of a stack or dcvbroker that was built from a checkout.
const Devel = "devel"

// compareReleases reports a dcvbroker of another release than the stack: each release reads records and parameters in its
// own form.
func (d *Doctor) compareReleases(r *Report) {
	const about = "the stack"
	switch {
	case d.Program == "":
	case d.Release == "":
		r.note(about, "", "does not say its release: it is older than the output Version. This dcvbroker is %s", d.Program)
	case d.Release != d.Program:
		r.note(about, "", "is release %s, this dcvbroker is %s: use the dcvbroker of the stack's release", d.Release, d.Program)
	case d.Release == Devel:
		r.Healthy = append(r.Healthy, "the stack and this dcvbroker are built from checkouts: their commits are not known")
	default:
		r.Healthy = append(r.Healthy, fmt.Sprintf("the stack and this dcvbroker are release %s", d.Release))
	}
}
