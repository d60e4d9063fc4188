// Package doctor finds what hosts lack to work with the broker, and prints the commands that fix it. It reads AWS's APIs
// and the Hosts table. It changes nothing and sends no command. The report also says what it does not look at.
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

// SystemsManager is the part of the SDK's client that is used here.
type SystemsManager interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	DescribeDocument(context.Context, *ssm.DescribeDocumentInput, ...func(*ssm.Options)) (*ssm.DescribeDocumentOutput, error)
	GetDocument(context.Context, *ssm.GetDocumentInput, ...func(*ssm.Options)) (*ssm.GetDocumentOutput, error)
	GetServiceSetting(context.Context, *ssm.GetServiceSettingInput, ...func(*ssm.Options)) (*ssm.GetServiceSettingOutput, error)
}

// EC2 is the part of the SDK's client that is used here.
type EC2 interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
}

// A Doctor examines a fleet.
type Doctor struct {
	SystemsManager SystemsManager
	EC2            EC2
	// Notes reads the Hosts table.
	Notes session.HostNotes
	// InventoryEvery is how often inventories are sent: the parameter InventoryMinutes.
	InventoryEvery time.Duration
	// TagValue is the value of the fleet's tag: the parameter FleetTagValue.
	TagValue string
	// Partition is the stack's: "aws", "aws-cn" or "aws-us-gov". Empty means "aws".
	Partition string
	// Release is the deployed release: the output Version, or "" if there is none. Program is the release of this dcvbroker, or
	// "" if there is no stack to compare it with.
	Release, Program string
	// Documents are the stack's.
	Documents []Document
	// Named are the hosts to examine, whether they have the tag or not. Without any, all hosts with the tag are examined.
	Named []string
	// Now is the broker's clock.
	Now func() time.Time
}

// A Document is an SSM document of the stack that hosts run.
type Document struct {
	LogicalID string
	Name      string // in Systems Manager
	Content   string // JSON, from the deployed template
}

// A Finding is about a host, a document, or the fleet as a whole.
type Finding struct {
	About string // "" is the fleet
	// Fault is true if the broker cannot work that way. Otherwise the finding is for information.
	Fault bool
	Says  string
	// Fix is the command that fixes it, if a command can.
	Fix string
}

// A Report lists the findings, and the names of what has none.
type Report struct {
	Findings []Finding
	// Healthy are the hosts and documents without a fault, each with a line of what is known.
	Healthy []string
	// NotLookedAt is what was not examined.
	NotLookedAt []string
}

// Faults returns how many of the findings are faults.
func (r *Report) Faults() int {
	n := 0
	for _, f := range r.Findings {
		if f.Fault {
			n++
		}
	}
	return n
}

// Print writes the report for people: each finding, and below it the command that fixes it. A finding about several hosts is
// written once, with their names below it. If the command names a host, it has HOST instead.
func (r *Report) Print(w io.Writer) {
	const indentation = 8
	for _, line := range r.Healthy {
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
		for _, line := range strings.Split(f.Fix, "\n") { // not wrapped, so that it can be copied
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

// ofAny returns the finding without the name of the host or document.
func (f Finding) ofAny() Finding {
	if f.About != "" {
		f.Fix = strings.ReplaceAll(f.Fix, f.About, "HOST")
	}
	f.About = ""
	return f
}

// alike groups findings that say the same, in the order of the first of each group.
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

func (r *Report) fault(about, fix, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{about, true, fmt.Sprintf(format, args...), fix})
}

func (r *Report) note(about, fix, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{about, false, fmt.Sprintf(format, args...), fix})
}

// Examine looks at everything. It returns an error if a call was not allowed or had no answer.
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
		r.note("", d.tagCommand(untagged[0]), "does not include %s: Systems Manager manages them, but they lack the tag %s=%s. If they are DCV hosts, tag them",
			some(untagged), session.FleetTagKey, d.TagValue)
	}
	return r, nil
}

// notLookedAt is what no report covers, and where to look instead.
func notLookedAt() []string {
	return []string{
		"whether the functions run, are called, and may do what they must: the stack's alarms and the functions' logs tell",
		"whether callers get a token and are let in: dcvbroker smoke tries it",
		"the DCV server beyond the list of its sessions, its licence, what users see, and whether they can be warned: no command is sent to a host",
		"nodes outside EC2 (mi-...) that are not registered any more: nothing lists them",
	}
}

// A fleet holds what is known of all hosts together.
type fleet struct {
	newest     time.Time // when the newest answered inventory was sent
	management management
}

// newest returns the sending time of the newest inventory that any host has answered.
func newest(notes map[string]session.HostNote) (at time.Time) {
	for _, note := range notes {
		if note.SentAt.After(at) {
			at = note.SentAt
		}
	}
	return at
}

// some names the first few.
func some(ids []string) string {
	const most = 5
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}
