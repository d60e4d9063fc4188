package system

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/template"
)

// A stack of the earlier version can be updated to today's template and back, with open deletions, and from step to step
// of its indexes.
func TestTemplateCanReplaceTheEarlierOne(t *testing.T) {
	before, from := loaded(t, earlierForTest(t).template, nil), "the earlier version"
	for _, step := range []string{"0", "1", "2", "3", "4", "3", "2", "1", "0"} {
		today := loaded(t, "../../../template.yaml", map[string]string{"IndexStep": step})
		for _, fault := range badUpdates(before, today) {
			t.Errorf("from %s to step %s: %s", from, step, fault)
		}
		before, from = today, "step "+step
	}
}

func loaded(t *testing.T, file string, parameters map[string]string) *template.Template {
	t.Helper()
	loaded, err := template.Load(file, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// badUpdates returns the faults of an update, one sentence each.
func badUpdates(old, updated *template.Template) (faults []string) {
	tables := map[string]template.Table{}
	for _, table := range updated.Tables() {
		tables[table.LogicalID] = table
	}
	for _, table := range old.Tables() {
		now, there := tables[table.LogicalID]
		if !there {
			faults = append(faults, table.LogicalID+" is gone, or has another logical ID: CloudFormation makes an empty table")
			continue
		}
		faults = append(faults, badTableUpdates(table, now)...)
	}
	queues := map[string]bool{}
	for _, queue := range updated.Queues() {
		queues[queue.LogicalID] = true
	}
	for _, queue := range old.Queues() {
		if !queues[queue.LogicalID] {
			faults = append(faults, queue.LogicalID+" is gone, or has another logical ID: what is in it is lost")
		}
	}
	return append(faults, badDocumentUpdates(old, updated)...)
}

// badTableUpdates returns faults of a table's update. A change of a key replaces the table, and a change of the stream's
// view begins another stream. CloudFormation adds one index, or removes one, in an update. Both in one update fail, and so
// does a change of an index (CloudFormation template reference, AWS::DynamoDB::Table, KeySchema, GlobalSecondaryIndexes and
// StreamSpecification).
func badTableUpdates(old, updated template.Table) (faults []string) {
	fault := func(text string) { faults = append(faults, old.LogicalID+": "+text) }
	if old.Key != updated.Key || old.Attributes[old.Key.Hash] != updated.Attributes[old.Key.Hash] {
		fault("another key makes an empty table")
	}
	if old.StreamView != updated.StreamView {
		fault("another view makes another stream, and nobody reads the rest of this one")
	}
	indexes := map[string]template.Index{}
	for _, index := range updated.Indexes {
		indexes[index.Name] = index
	}
	removed := 0
	for _, index := range old.Indexes {
		now, there := indexes[index.Name]
		delete(indexes, index.Name)
		if !there {
			removed++
		} else if !reflect.DeepEqual(now, index) {
			fault("index " + index.Name + " is changed: only another one can be added")
		}
	}
	if removed+len(indexes) > 1 {
		fault("more than one index is added or removed")
	}
	return faults
}

// badDocumentUpdates returns faults of a document's update. For some minutes functions of either version send commands
// of either version's documents.
func badDocumentUpdates(old, updated *template.Template) (faults []string) {
	documents := map[string]template.Document{}
	for _, document := range updated.Documents() {
		documents[document.LogicalID] = document
	}
	for _, document := range old.Documents() {
		now, there := documents[document.LogicalID]
		if !there {
			faults = append(faults, document.LogicalID+" is gone, or has another logical ID: no answer to a command that is under way is understood")
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(document.Parameters)) {
			if parameter, there := now.Parameters[name]; !there {
				faults = append(faults, document.LogicalID+": the parameter "+name+" is gone, which older functions send")
			} else if refusesMore(document.Parameters[name], parameter) {
				faults = append(faults, document.LogicalID+": the parameter "+name+" has another pattern, or less room: what older functions send may be refused")
			}
		}
		for _, name := range slices.Sorted(maps.Keys(now.Parameters)) {
			if _, there := document.Parameters[name]; !there && now.Parameters[name].Default == nil {
				faults = append(faults, document.LogicalID+": the parameter "+name+" has no default, and older functions do not send it")
			}
		}
	}
	return faults
}

// refusesMore tells whether a parameter may refuse values that it accepted before. It does not compare patterns: after a
// change of a pattern a person must check it, and change this function.
func refusesMore(old, updated template.DocumentParameter) bool {
	pattern := func(p template.DocumentParameter) string {
		if p.AllowedPattern == nil {
			return ""
		}
		return p.AllowedPattern.String()
	}
	return pattern(updated) != "" && pattern(updated) != pattern(old) ||
		updated.MinChars > old.MinChars ||
		updated.MaxChars != 0 && (old.MaxChars == 0 || updated.MaxChars < old.MaxChars) ||
		len(updated.AllowedValues) > 0 && (len(old.AllowedValues) == 0 || slices.ContainsFunc(old.AllowedValues, func(v string) bool { return !slices.Contains(updated.AllowedValues, v) })) ||
		old.Default != nil && updated.Default == nil
}

func TestParametersThatRefuseMoreAreFound(t *testing.T) {
	standard := "0"
	parameter := template.DocumentParameter{
		AllowedPattern: regexp.MustCompile("^[a-z]*$"), AllowedValues: []string{"a", "b"}, MinChars: 1, MaxChars: 10, Default: &standard,
	}
	for _, c := range []struct {
		change func(*template.DocumentParameter)
		want   bool
	}{
		{func(p *template.DocumentParameter) {}, false},
		{func(p *template.DocumentParameter) { *p = template.DocumentParameter{Default: &standard} }, false},
		{func(p *template.DocumentParameter) {
			p.AllowedValues, p.MinChars, p.MaxChars = []string{"a", "b", "c"}, 0, 11
		}, false},
		{func(p *template.DocumentParameter) { p.AllowedPattern = regexp.MustCompile("^[a-y]*$") }, true},
		{func(p *template.DocumentParameter) { p.AllowedValues = []string{"a"} }, true},
		{func(p *template.DocumentParameter) { p.MinChars = 2 }, true},
		{func(p *template.DocumentParameter) { p.MaxChars = 9 }, true},
		{func(p *template.DocumentParameter) { p.Default = nil }, true},
	} {
		updated := parameter
		c.change(&updated)
		if got := refusesMore(parameter, updated); got != c.want {
			t.Errorf("%+v: %v, want %v", updated, got, c.want)
		}
	}
	if free := (template.DocumentParameter{}); !refusesMore(free, template.DocumentParameter{MaxChars: 9}) || !refusesMore(free, template.DocumentParameter{AllowedValues: []string{"a"}}) {
		t.Error("a limit where there was none")
	}
}

// Each of these faults is found.
func TestBadUpdatesAreFound(t *testing.T) {
	table := func() template.Table {
		return template.Table{
			LogicalID: "T", Key: template.Key{Hash: "Id"}, Attributes: map[string]string{"Id": "S"}, StreamView: "NEW_AND_OLD_IMAGES",
			Indexes: []template.Index{{Name: "due", Projection: "KEYS_ONLY"}, {Name: "by-host", Projection: "KEYS_ONLY"}},
		}
	}
	for _, c := range []struct {
		change func(*template.Table)
		want   string // "": no fault
	}{
		{func(t *template.Table) {}, ""},
		{func(t *template.Table) { t.Indexes = t.Indexes[:1] }, ""},
		{func(t *template.Table) { t.Indexes = append(t.Indexes, template.Index{Name: "by-owner"}) }, ""},
		{func(t *template.Table) { t.Key.Range = "HostId" }, "another key"},
		{func(t *template.Table) { t.Attributes["Id"] = "B" }, "another key"},
		{func(t *template.Table) { t.StreamView = "NEW_IMAGE" }, "another view"},
		{func(t *template.Table) { t.Indexes[0].Projection = "ALL" }, "index due is changed"},
		{func(t *template.Table) { t.Indexes[0].Name = "due2" }, "more than one index"},
		{func(t *template.Table) { t.Indexes = nil }, "more than one index"},
	} {
		updated := table()
		c.change(&updated)
		said := strings.Join(badTableUpdates(table(), updated), "; ")
		if (said == "") != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%q, want %q", said, c.want)
		}
	}
}
