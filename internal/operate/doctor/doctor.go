// Package doctor looks for what the broker needs of its hosts and does not find: through AWS's own APIs, and in what the
// Hosts table has of their inventories, changing nothing and sending no command. What it finds it says with the command
// that fixes it, and it says what it does not look at.
package doctor

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// SystemsManager is its client.
type SystemsManager interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	DescribeDocument(context.Context, *ssm.DescribeDocumentInput, ...func(*ssm.Options)) (*ssm.DescribeDocumentOutput, error)
	GetDocument(context.Context, *ssm.GetDocumentInput, ...func(*ssm.Options)) (*ssm.GetDocumentOutput, error)
	GetServiceSetting(context.Context, *ssm.GetServiceSettingInput, ...func(*ssm.Options)) (*ssm.GetServiceSettingOutput, error)
}

// EC2 is its client.
type EC2 interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
}

// A Doctor examines a fleet.
type Doctor struct {
	SystemsManager SystemsManager
	EC2            EC2
	// Notes are those of the Hosts table.
	Notes session.HostNotes
	// InventoryEvery is how often inventories are sent: the parameter InventoryMinutes.
	InventoryEvery time.Duration
	// TagValue is that of the fleet's tag: the parameter FleetTagValue.
	TagValue string
	// Partition is where the stack is: "aws", which it is where it is empty, "aws-cn" or "aws-us-gov".
	Partition string
	// Release is the one that was deployed: the output Version, or "" where there is none. Program is that of this dcvbroker, or
	// "" where there is no stack to compare it with.
	Release, Program string
	// Documents are the stack's.
	Documents []Document
	// Named are hosts that belong to the fleet whether or not they are tagged: how one finds out what a single host lacks.
	// Without any, all that are tagged are examined.
	Named []string
	// Now is the broker's clock.
	Now func() time.Time
}

// A Document is one that the stack has its hosts run.
type Document struct {
	LogicalID string
	Name      string // in Systems Manager
	Content   string // what the template has that was deployed: JSON
}

// A Finding is about a host, a document, or the fleet as a whole.
type Finding struct {
	About string // "" is the fleet
	// Fault: the broker cannot work with it. Otherwise it is worth knowing, no more.
	Fault bool
	Says  string
	// Mends is the command that fixes it, if a command can.
	Mends string
}

// A Report is what was found; what is well is not in it but by name.
type Report struct {
	Findings []Finding
	// Well are the hosts and documents that nothing is wrong with, each with what is known of it.
	Well []string
	// NotLookedAt is what the report says nothing of.
	NotLookedAt []string
}

// Faults is how many of the findings are faults.
func (r *Report) Faults() int {
	n := 0
	for _, f := range r.Findings {
		if f.Fault {
			n++
		}
	}
	return n
}

// Print writes the report for people, each finding with the command that fixes it below. What is found of several is written
// once, with their names below it: with HOST for each of them in the command, if that names them.
func (r *Report) Print(w io.Writer) {
	const indentation = 8
	for _, line := range r.Well {
		fmt.Fprintln(w, "ok      "+screen.Indent(line, indentation))
	}
	for _, found := range alike(r.Findings) {
		f := found[0]
		mark, about, below := "note    ", f.About, ""
		if f.Fault {
			mark = "FAULT   "
		}
		switch {
		case len(found) > 1:
			about = fmt.Sprintf("each of these %d", len(found))
			below = names(found)
			f = f.ofAny()
		case about == "":
			about = "the fleet"
		}
		fmt.Fprintln(w, mark+screen.Indent(about+" "+f.Says, indentation))
		if below != "" {
			fmt.Fprintln(w, "          "+screen.Indent(below, indentation+2))
		}
		for _, line := range strings.Split(f.Mends, "\n") { // to be copied: it is not wrapped
			if line != "" {
				fmt.Fprintln(w, "          "+line)
			}
		}
	}
	fmt.Fprintln(w, "Not looked at:")
	for _, what := range r.NotLookedAt {
		fmt.Fprintln(w, "  - "+screen.Indent(what, 4))
	}
	if n := r.Faults(); n == 1 {
		fmt.Fprintln(w, "1 fault")
	} else {
		fmt.Fprintf(w, "%d faults\n", n)
	}
}

// ofAny is the finding without the name of what it is about.
func (f Finding) ofAny() Finding {
	if f.About != "" {
		f.Mends = strings.ReplaceAll(f.Mends, f.About, "HOST")
	}
	f.About = ""
	return f
}

// alike has the findings that say the same together, in the order of the first of each.
func alike(all []Finding) (groups [][]Finding) {
	at := map[Finding]int{}
	for _, f := range all {
		i, known := at[f.ofAny()]
		if !known {
			i = len(groups)
			at[f.ofAny()] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

func names(found []Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, f.About)
	}
	return strings.Join(all, ", ")
}

func (r *Report) fault(about, mends, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{about, true, fmt.Sprintf(format, args...), mends})
}

func (r *Report) note(about, mends, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{about, false, fmt.Sprintf(format, args...), mends})
}

// Examine looks at everything. An error means that it could not: something was not allowed, or not answered.
func (d *Doctor) Examine(ctx context.Context) (*Report, error) {
	r := &Report{NotLookedAt: notLookedAt()}
	d.compareReleases(r)
	for _, document := range d.Documents {
		if err := d.examineDocument(ctx, r, document); err != nil {
			return nil, err
		}
	}
	hosts, untagged, err := d.find(ctx)
	if err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(hosts))
	notes, err := d.Notes.Notes(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read when inventories of the hosts were complete: %w", err)
	}
	fleet := &fleet{newest: newest(notes), management: d.management(ctx, r, hosts)}
	d.examineFleet(r, fleet)
	for _, id := range ids {
		d.examineHost(r, fleet, hosts[id], notes[id])
	}
	if len(hosts) == 0 {
		r.fault("", d.tagCommand("i-..."), "has no host: nothing carries the tag %s=%s", session.FleetTagKey, d.TagValue)
	}
	if len(untagged) > 0 {
		r.note("", d.tagCommand(untagged[0]), "leaves out %s, which Systems Manager manages but which lack the tag %s=%s. If they are DCV hosts, tag them",
			some(untagged), session.FleetTagKey, d.TagValue)
	}
	return r, nil
}

// notLookedAt is what a report never tells, and what does.
func notLookedAt() []string {
	return []string{
		"whether the functions run, are called, and may do what they must: the stack's alarms and the functions' logs tell",
		"whether callers get a token and are let in: dcvbroker smoke tries it",
		"the DCV server beyond the list of its sessions, its licence, what users see, and whether they can be warned: no command is sent to a host",
		"nodes outside EC2 (mi-...) that are not registered any more: nothing lists them",
	}
}

// A fleet is what is known of all hosts together.
type fleet struct {
	newest     time.Time // when the newest inventory was sent that one of them has answered
	management management
}

// newest is the sending time of the newest inventory that any host has answered.
func newest(notes map[string]session.HostNote) (at time.Time) {
	for _, note := range notes {
		if note.SentAt.After(at) {
			at = note.SentAt
		}
	}
	return at
}

// some names a few of many.
func some(ids []string) string {
	const most = 5
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}
