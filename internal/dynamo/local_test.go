package dynamo_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// localStore makes a new table in DynamoDB Local.
func localStore(t *testing.T) dynamodblocal.Store {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	name, _ := localTable(t, client)
	return dynamodblocal.Store{Client: client, TableName: name}
}

// losesAnswers returns an endpoint that passes calls on and loses the first n answers.
func losesAnswers(t *testing.T, endpoint string, n int64) string {
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var answers atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(*http.Response) error {
		if answers.Add(1) <= n {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

func TestLostAnswerOfAWriteThatLanded(t *testing.T) {
	for name, test := range map[string]struct {
		lost int64
		want error
		old  session.Record
	}{
		"tried again by the SDK": {1, condition, session.Record{session.AttrSessionID: "s-0", "Written": true}},
		"given up":               {3, unclear, nil},
	} {
		t.Run(name, func(t *testing.T) {
			store := localStore(t)
			if err := store.Put(t.Context(), session.Record{session.AttrSessionID: "s-0"}); err != nil {
				t.Fatal(err)
			}
			table := dynamo.New(impatient(losesAnswers(t, dynamodblocal.ForTest(t), test.lost)), store.TableName)
			got := table.Write(t.Context(), someWrites(1))[0]
			wantErr(t, 0, got, test.want)
			if diff := cmp.Diff(test.old, got.Old); diff != "" {
				t.Errorf("old record (-want +got):\n%s", diff)
			}
			now, err := store.Get(t.Context(), "s-0")
			if err != nil || now["Written"] != true {
				t.Errorf("the write has not landed: %v, %v", now, err)
			}
		})
	}
}

// A statement may have 8,192 characters; a longer one fails its whole call.
func TestStatementTooLongFailsAlone(t *testing.T) {
	store := localStore(t)
	writes := someWrites(30)
	for _, w := range writes {
		if err := store.Put(t.Context(), session.Record{session.AttrSessionID: w.SessionID}); err != nil {
			t.Fatal(err)
		}
	}
	writes[17].Set[strings.Repeat("x", 9000)] = true
	for i, r := range dynamo.New(store.Client, store.TableName).Write(t.Context(), writes) {
		if i == 17 {
			wantErr(t, i, r, notWritten)
		} else {
			wantErr(t, i, r, nil)
		}
	}
}

// Attributes that a Record cannot hold are not read and not changed.
func TestAttributesOfOtherTypesStayAsTheyAre(t *testing.T) {
	store := localStore(t)
	item := map[string]types.AttributeValue{
		"SessionId": &types.AttributeValueMemberS{Value: "s-0"},
		"Tags":      &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "a"}}},
		"Server":    &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"Cores": &types.AttributeValueMemberN{Value: "4"}}},
		"Load":      &types.AttributeValueMemberN{Value: "0.5"},
		"Count":     &types.AttributeValueMemberN{Value: "1E3"},
		"Nothing":   &types.AttributeValueMemberNULL{Value: true},
	}
	if _, err := store.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &store.TableName, Item: item}); err != nil {
		t.Fatal(err)
	}
	seen := session.Record{"SessionId": "s-0", "Count": int64(1000)}
	table := dynamo.New(store.Client, store.TableName)
	for _, want := range []error{nil, condition} {
		got := table.Write(t.Context(), someWrites(1))[0]
		if !errors.Is(got.Err, want) {
			t.Fatal(got.Err)
		}
		if diff := cmp.Diff(seen, got.Old); diff != "" {
			t.Errorf("old record (-want +got):\n%s", diff)
		}
		seen["Written"] = true
	}
	out, err := store.Client.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &store.TableName, Key: map[string]types.AttributeValue{"SessionId": item["SessionId"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	item["Written"] = &types.AttributeValueMemberBOOL{Value: true}
	item["Count"] = &types.AttributeValueMemberN{Value: "1000"}
	if diff := cmp.Diff(item, out.Item, cmpopts.IgnoreUnexported(
		types.AttributeValueMemberS{}, types.AttributeValueMemberL{}, types.AttributeValueMemberM{},
		types.AttributeValueMemberN{}, types.AttributeValueMemberNULL{}, types.AttributeValueMemberBOOL{},
	)); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
}
