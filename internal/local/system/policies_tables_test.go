package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// The scenarios observe operations of tables, and IAM checks calls of DynamoDB: this
// test records which calls each operation sends.
func TestWhatTablesNeed(t *testing.T) {
	seen := map[grant]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		answer, some := dynamoCall(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810."), body)
		if some == nil {
			t.Errorf("nobody knows what %s needs: %s", r.Header.Get("X-Amz-Target"), body)
		}
		for _, g := range some {
			seen[g] = true
		}
		io.WriteString(w, answer)
	}))
	defer server.Close()
	p := onDynamoDB(dynamodb.NewFromConfig(dynamodblocal.Config(server.URL)), "")
	ctx, now := t.Context(), time.Now()
	set := session.Record{"State": "READY"}
	operations := map[string]func(){
		"Write":               func() { p.table.Write(ctx, []session.Write{{SessionID: "a", Set: set}}) },
		"Write, new":          func() { p.table.Write(ctx, []session.Write{{SessionID: "a", New: true, Set: set}}) },
		"Get":                 func() { p.reader.Get(ctx, []string{"a"}) },
		"Owned":               func() { p.reader.Owned(ctx, "alice", "", 1) },
		"All":                 func() { p.reader.All(ctx, "", 1) },
		"Due":                 func() { p.index.Due(ctx, "0", now, 1) },
		"OnHost":              func() { p.index.OnHost(ctx, "i-1", "", 1) },
		"RecordInventorySent": func() { p.hosts.RecordInventorySent(ctx, now) },
		"LastInventories":     func() { p.hosts.LastInventories(ctx) },
		"ForgetInventory":     func() { p.hosts.ForgetInventory(ctx, now) },
		"Newest":              func() { p.hosts.Newest(ctx, []string{"i-1"}) },
		"RecordAnswer":        func() { p.hosts.RecordAnswer(ctx, session.HostAnswer{HostID: "i-1"}) },
		"AnsweredBefore":      func() { p.hosts.AnsweredBefore(ctx, now, 1) },
		"MarkSilent":          func() { p.hosts.MarkSilent(ctx, "i-1", now) },
		"AddHost":             func() { p.hosts.AddHost(ctx, "i-1", now) },
		"Notes":               func() { p.hosts.Notes(ctx, []string{"i-1"}) },
		"WalkedTo":            func() { p.hosts.WalkedTo(ctx) },
		"RecordWalkedTo":      func() { p.hosts.RecordWalkedTo(ctx, "i-1") },
		"Silences":            func() { p.hosts.Silences(ctx, []string{"i-1"}) },
		"RecordAsked":         func() { p.hosts.RecordAsked(ctx, "i-1", now) },
		"RecordOwnerTag":      func() { p.hosts.RecordOwnerTag(ctx, "i-1", session.OwnerTag{ReadAt: now}) },
		"RecordRefused":       func() { p.hosts.RecordRefused(ctx, []string{"i-1", "i-2"}, now) },
		"RefusedHosts":        func() { p.hosts.RefusedHosts(ctx, 1) },
		"ForgetRefused":       func() { p.hosts.ForgetRefused(ctx, session.RefusedHost{HostID: "i-1", At: now}) },
		"HostsAfter":          func() { p.hostLister.HostsAfter(ctx, "i-1", 1) },
		"Open":                func() { p.index.Open(ctx, "0", 1) },
	}
	for name, operate := range operations {
		clear(seen)
		operate()
		want := map[grant]bool{}
		for _, g := range ofTables[name] {
			want[g] = true
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("%s (-known +seen):\n%s", name, diff)
		}
	}
	for _, kind := range []reflect.Type{
		reflect.TypeFor[session.Table](), reflect.TypeFor[session.Reader](), reflect.TypeFor[localIndex](), reflect.TypeFor[localHosts](), reflect.TypeFor[session.HostLister](),
	} {
		for i := range kind.NumMethod() {
			if name := kind.Method(i).Name; operations[name] == nil {
				t.Errorf("nobody knows what %s of %s needs", name, kind)
			}
		}
	}
}

// dynamoCall returns the permission that a call of DynamoDB needs, and an answer to the
// call. The actions of the Service Authorization Reference have the names of the
// operations, except for PartiQL, which has one for each kind of statement (DynamoDB
// developer guide, "IAM security policies with PartiQL").
func dynamoCall(operation string, body []byte) (answer string, some []grant) {
	var in struct {
		TableName, IndexName string
		RequestItems         map[string]any
		Statements           []struct{ Statement string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", nil
	}
	switch operation {
	case "BatchExecuteStatement":
		var answers []string
		for _, s := range in.Statements {
			parts := partiQL.FindStringSubmatch(s.Statement)
			if parts == nil {
				return "", nil
			}
			action := map[string]string{"UPDATE": "Update", "INSERT INTO": "Insert", "DELETE FROM": "Delete"}[parts[1]]
			some = append(some, grant{"dynamodb:PartiQL" + action, parts[2] + ".Arn", ""})
			code := "ConditionalCheckFailed"
			if action == "Insert" {
				code = "DuplicateItem"
			}
			answers = append(answers, fmt.Sprintf(`{"Error":{"Code":%q}}`, code))
		}
		return `{"Responses":[` + strings.Join(answers, ",") + `]}`, some
	case "BatchGetItem":
		for table := range in.RequestItems {
			some = append(some, grant{"dynamodb:BatchGetItem", table + ".Arn", ""})
		}
		return `{"Responses":{},"UnprocessedKeys":{}}`, some
	case "BatchWriteItem":
		var puts struct {
			RequestItems map[string][]struct {
				PutRequest struct{ Item map[string]map[string]string }
			}
		}
		if err := json.Unmarshal(body, &puts); err != nil {
			return "", nil
		}
		for table, items := range puts.RequestItems {
			condition := onlyRefused
			for _, item := range items {
				if !strings.HasPrefix(item.PutRequest.Item["HostId"]["S"], "refused-") {
					condition = ""
				}
			}
			some = append(some, grant{"dynamodb:BatchWriteItem", table + ".Arn", condition})
		}
		return `{"UnprocessedItems":{}}`, some
	case "Query", "Scan", "UpdateItem", "GetItem", "PutItem", "DeleteItem":
		resource := in.TableName + ".Arn"
		if in.IndexName != "" {
			resource += "/index/" + in.IndexName
		}
		return `{}`, []grant{{"dynamodb:" + operation, resource, ""}}
	}
	return "", nil
}

var partiQL = regexp.MustCompile(`^(UPDATE|INSERT INTO|DELETE FROM) "(\w+)" `)
