package system

import (
	"context"
	"maps"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/template"
)

// The indexes of a live stack are moved step by step, and back, while there are open deletions.
func TestIndexesOfALiveStackAreMoved(t *testing.T) {
	t.Parallel() // one long scenario, next to the others
	opts := Options{DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "indexes"}
	runScenarios(t, opts, chosen(scenarios(t, "testdata/indexes")))
}

// cmdIndexes updates the table to a step, while the functions are at another.
func cmdIndexes(s *testSystem, ts *testscript.TestScript, args []string) {
	t, err := template.Load(s.opts.Template, map[string]string{"IndexStep": args[0]})
	ts.Check(err)
	store, there := s.system.store.(*dynamoStore)
	if !there {
		ts.Fatalf("the table is in memory")
	}
	for _, spec := range t.Tables() {
		if spec.LogicalID == tableName {
			ts.Check(dynamodblocal.MoveIndexes(context.Background(), store.store.Client, dynamodblocal.TableInput(spec)))
		}
	}
}

// cmdUpdate ends the system, and starts it at the step.
func cmdUpdate(s *testSystem, ts *testscript.TestScript, args []string) {
	opts := s.opts
	opts.Parameters = maps.Clone(opts.Parameters)
	opts.Parameters["IndexStep"] = args[0]
	s.close()
	ts.Check(s.open(opts))
}
