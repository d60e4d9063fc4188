package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/rapidtest"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/session/tabletest"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// templateTable makes a table as in template.yaml, under a new name, and returns its
// stream, too, if it has one.
func templateTable(t tabletest.TB, client *dynamodb.Client, logicalID string) (name, streamARN string) {
	t.Helper()
	tmpl, err := template.Load("../../template.yaml", nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, table := range tmpl.Tables() {
		if table.LogicalID != logicalID {
			continue
		}
		name = fmt.Sprintf("%s-%d", logicalID, tables.Add(1))
		in := dynamodblocal.TableInput(table)
		in.TableName = &name
		if streamARN, err = dynamodblocal.CreateTable(context.Background(), client, in); err != nil {
			t.Fatalf("%v", err)
		}
		return name, streamARN
	}
	t.Fatalf("template.yaml has no table %s", logicalID)
	return "", ""
}

func TestIndexConformance(t *testing.T) {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	tabletest.RunIndex(t, func(tb tabletest.TB) tabletest.IndexSubject {
		name, _ := templateTable(tb, client, "SessionsTable")
		store := dynamodblocal.Store{Client: client, TableName: name}
		return tabletest.IndexSubject{
			Index: dynamo.Index{Client: emptyPages{client}, Table: name},
			Hosts: dynamo.HostLister{Client: emptyPages{client}, Table: name},
			Put: func(r session.Record) {
				if err := store.Put(t.Context(), r); err != nil {
					tb.Fatalf("%v", err)
				}
			},
		}
	})
}

// A page that fails fails the whole query.
func TestFailedPageFailsTheQuery(t *testing.T) {
	pages := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if pages++; pages == 1 {
			fmt.Fprint(w, `{"Items": [{"SessionId": {"S": "a"}}], "Count": 1, "LastEvaluatedKey": {"SessionId": {"S": "a"}}}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException", "message": "no"}`)
	}))
	defer server.Close()
	index := dynamo.Index{Client: impatient(server.URL), Table: "Sessions"}
	if records, err := index.Due(t.Context(), "1", time.Now(), 10); err == nil || records != nil || !strings.Contains(err.Error(), "by-lease") || pages != 2 {
		t.Errorf("%d records of %d pages, %v", len(records), pages, err)
	}
}

func TestHostsConformance(t *testing.T) { tabletest.RunHosts(t, hostsOnDynamoDBLocal(t)) }

func TestSameHostsAsInMemory(t *testing.T) {
	rapidtest.FewerChecks(t, "20") // each is up to a hundred calls of DynamoDB Local
	tabletest.CompareHosts(t, func(tabletest.TB) tabletest.HostsSubject { return memtable.NewHosts() }, hostsOnDynamoDBLocal(t))
}

func hostsOnDynamoDBLocal(t *testing.T) func(tabletest.TB) tabletest.HostsSubject {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	return func(tb tabletest.TB) tabletest.HostsSubject {
		name, _ := templateTable(tb, client, "HostsTable")
		return dynamo.Hosts{Client: emptyPages{client}, Table: name}
	}
}

// A time that cannot be parsed counts as missing, and does not affect other hosts.
func TestUnreadableTimesOfAHostAreMissing(t *testing.T) {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	name, _ := templateTable(t, client, "HostsTable")
	hosts := dynamo.Hosts{Client: client, Table: name}
	sent := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	if _, _, err := hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: "i-1", SentAt: sent, At: sent}); err != nil {
		t.Fatal(err)
	}
	for id, at := range map[string]types.AttributeValue{
		"i-2": &types.AttributeValueMemberS{Value: "noon"}, "i-3": &types.AttributeValueMemberN{Value: "12"}, "fleet": &types.AttributeValueMemberBOOL{},
	} {
		item := map[string]types.AttributeValue{
			"HostId": &types.AttributeValueMemberS{Value: id}, "InventorySentAt": at, "LastButOneSentAt": at, "LastButTwoSentAt": at, "CompleteAt": at, "OccupiedAt": at, "EmptySince": at,
		}
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	newest, err := hosts.Newest(t.Context(), []string{"i-1", "i-2", "i-3"})
	if err != nil || len(newest) != 1 || !newest["i-1"].Equal(sent) {
		t.Errorf("newest: %v, %v", newest, err)
	}
	notes, err := hosts.Notes(t.Context(), []string{"i-1", "i-2", "i-3"})
	if err != nil || !notes["i-1"].SentAt.Equal(sent) || notes["i-2"] != (session.HostNote{}) || notes["i-3"] != (session.HostNote{}) {
		t.Errorf("notes: %v, %v", notes, err)
	}
	if sent, err := hosts.LastInventories(t.Context()); err != nil || len(sent) > 0 {
		t.Errorf("last inventories: %v, %v", sent, err)
	}
}

// The table drops only hosts that have been silent for as long as their sessions are
// kept, so that UnresponsiveMarker finds every other host that falls silent, however
// late.
func TestOnlySilentHostsExpire(t *testing.T) {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	name, _ := templateTable(t, client, "HostsTable")
	hosts := dynamo.Hosts{Client: client, Table: name}
	now := time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC)
	answer := func(sent time.Time) {
		if fresh, _, err := hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: "i-1", SentAt: sent, At: sent}); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
	}
	expires := func(want string) {
		t.Helper()
		out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{
			TableName: &hosts.Table, Key: map[string]types.AttributeValue{"HostId": &types.AttributeValueMemberS{Value: "i-1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if n, ok := out.Item["ExpiresAt"].(*types.AttributeValueMemberN); ok {
			got = n.Value
		}
		if got != want {
			t.Errorf("expires at %q, want %q", got, want)
		}
	}
	answer(now)
	expires("")
	before := now.Add(time.Hour)
	if silent, err := hosts.MarkSilent(t.Context(), "i-1", before); err != nil || !silent {
		t.Fatal(silent, err)
	}
	expires(strconv.FormatInt(before.Add(session.KeepUnknown).Unix(), 10))
	answer(before)
	expires("")
	for _, table := range templatetest.Load(t, nil).Tables() {
		if table.TTLAttribute != "ExpiresAt" {
			t.Errorf("%s expires by %q", table.LogicalID, table.TTLAttribute)
		}
	}
}

// noHosts is a Hosts table that cannot be reached.
type noHosts struct{ dynamo.HostsAPI }

var errDown = errors.New("the table is down")

func (noHosts) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return nil, errDown
}

func (noHosts) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return nil, errDown
}

func (noHosts) BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return nil, errDown
}

func TestFailingHostsTableIsNotAnAnswer(t *testing.T) {
	hosts := dynamo.Hosts{Client: noHosts{}, Table: "Hosts"}
	if fresh, _, err := hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: "i-1"}); fresh || !errors.Is(err, errDown) {
		t.Errorf("fresh %v, %v", fresh, err)
	}
	if silent, err := hosts.MarkSilent(t.Context(), "i-1", time.Now()); silent || !errors.Is(err, errDown) {
		t.Errorf("silent %v, %v", silent, err)
	}
	if err := hosts.RecordInventorySent(t.Context(), time.Now()); !errors.Is(err, errDown) {
		t.Errorf("sent: %v", err)
	}
	if _, err := hosts.LastInventories(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("last inventories: %v", err)
	}
	if err := hosts.ForgetInventory(t.Context(), time.Now()); !errors.Is(err, errDown) {
		t.Errorf("forget an inventory: %v", err)
	}
	if err := hosts.AddHost(t.Context(), "i-1", time.Now()); !errors.Is(err, errDown) {
		t.Errorf("expect: %v", err)
	}
	if _, err := hosts.Newest(t.Context(), []string{"i-1"}); !errors.Is(err, errDown) {
		t.Errorf("newest: %v", err)
	}
	if quiet, err := hosts.AnsweredBefore(t.Context(), time.Now(), 1); quiet != nil || !errors.Is(err, errDown) {
		t.Errorf("quiet %v, %v", quiet, err)
	}
}
