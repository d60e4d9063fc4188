package dynamo_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

const lastStep = 4

// atStep returns the template with that IndexStep, and the indexes of its Sessions table.
func atStep(t *testing.T, step int) (*template.Template, template.Table, map[string]template.Index) {
	t.Helper()
	tmpl := templatetest.Load(t, map[string]string{"IndexStep": strconv.Itoa(step)})
	tables := tmpl.Tables()
	table := tables[slices.IndexFunc(tables, func(t template.Table) bool { return t.LogicalID == "SessionsTable" })]
	indexes := map[string]template.Index{}
	for _, index := range table.Indexes {
		indexes[index.Name] = index
	}
	return tmpl, table, indexes
}

func difference(a, b map[string]template.Index) (n int) {
	for name := range a {
		if _, there := b[name]; !there {
			n++
		}
	}
	for name := range b {
		if _, there := a[name]; !there {
			n++
		}
	}
	return n
}

// A step makes or deletes one index. An update that skips a step changes more, which
// DynamoDB refuses. The indexes that functions use at a step exist also at the steps
// before and after, since a table is updated before its functions, and rolled back after
// them.
func TestEachIndexStepIsOneUpdate(t *testing.T) {
	inRoles := regexp.MustCompile(`/index/([a-z-]+)`)
	for step := range lastStep + 1 {
		tmpl, _, indexes := atStep(t, step)
		for other := range lastStep + 1 {
			_, _, theirs := atStep(t, other)
			apart := max(step-other, other-step)
			if n := difference(indexes, theirs); n != apart {
				t.Errorf("steps %d and %d differ in %d indexes, want %d", step, other, n, apart)
			}
			asked := dynamo.IndexStep(strconv.Itoa(step))
			for _, name := range []string{asked.ByLease(), asked.ByHost()} {
				if _, there := theirs[name]; !there && apart <= 1 {
					t.Errorf("functions at step %d ask the index %s, which the table lacks at step %d", step, name, other)
				}
			}
		}
		named := map[string]bool{"by-owner": true}
		for _, r := range tmpl.Resources() {
			if r.Type == "AWS::IAM::Role" {
				text, err := json.Marshal(r.Properties)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range inRoles.FindAllStringSubmatch(string(text), -1) {
					named[m[1]] = true
				}
			}
		}
		delete(named, "by-answered") // it is an index of the Hosts table
		if want := slices.Sorted(maps.Keys(indexes)); !slices.Equal(slices.Sorted(maps.Keys(named)), want) {
			t.Errorf("step %d: roles may ask %q, the table has %q", step, slices.Sorted(maps.Keys(named)), want)
		}
	}
}

// A new stack has the indexes that the domain needs, and its functions use them.
func TestProjectionsAreTheTemplates(t *testing.T) {
	_, _, indexes := atStep(t, lastStep)
	for name, attrs := range map[string][]string{
		dynamo.IndexStep("").ByLease(): session.AttrsByLease, dynamo.IndexStep("").ByHost(): session.AttrsByHost, "by-owner": session.AttrsByOwner,
	} {
		index := indexes[name]
		if got, want := slices.Sorted(slices.Values(index.NonKey)), slices.Sorted(slices.Values(attrs)); index.Projection != "INCLUDE" || !slices.Equal(got, want) {
			t.Errorf("%s: %s %q, want %q", name, index.Projection, got, want)
		}
	}
	if step := templatetest.Load(t, nil).Parameters()["IndexStep"]; step != strconv.Itoa(lastStep) || len(indexes) != 3 {
		t.Errorf("a new stack begins with step %s and %d indexes", step, len(indexes))
	}
}

// DynamoDB refuses an update that skips a step, and does not change the table.
func TestSkippedIndexStepIsRefused(t *testing.T) {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	_, table, _ := atStep(t, 0)
	in := dynamodblocal.TableInput(table)
	in.TableName = aws.String("Skipped")
	if _, err := dynamodblocal.CreateTable(t.Context(), client, in); err != nil {
		t.Fatal(err)
	}
	update := &dynamodb.UpdateTableInput{TableName: in.TableName, AttributeDefinitions: in.AttributeDefinitions}
	_, table, _ = atStep(t, 2)
	for _, index := range dynamodblocal.TableInput(table).GlobalSecondaryIndexes {
		if dynamo.IndexStep("4").ByLease() == *index.IndexName || dynamo.IndexStep("4").ByHost() == *index.IndexName {
			update.GlobalSecondaryIndexUpdates = append(update.GlobalSecondaryIndexUpdates, types.GlobalSecondaryIndexUpdate{Create: &types.CreateGlobalSecondaryIndexAction{
				IndexName: index.IndexName, KeySchema: index.KeySchema, Projection: index.Projection,
			}})
		}
	}
	if _, err := client.UpdateTable(t.Context(), update); err == nil || len(update.GlobalSecondaryIndexUpdates) != 2 {
		t.Errorf("%d new indexes in one update: %v", len(update.GlobalSecondaryIndexUpdates), err)
	}
	out, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: in.TableName})
	if err != nil || len(out.Table.GlobalSecondaryIndexes) != 3 {
		t.Errorf("%v, %v", out, err)
	}
}
