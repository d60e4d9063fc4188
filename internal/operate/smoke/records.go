package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

// noHost is the host of a test record: no instance has this ID, so nothing is closed.
const noHost = "i-00000000000000000"

// lifetime is when DynamoDB removes a record that an interrupted run has left.
const lifetime = 48 * time.Hour

// DynamoDB is the part of the SDK's client that is used here.
type DynamoDB interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Table is the sessions table of a deployed stack.
type Table struct {
	Client DynamoDB
	Name   string
}

// Put implements Records.
func (t Table) Put(ctx context.Context, id string) error {
	now := time.Now()
	record := session.Listed(session.Session{
		ID: id, Owner: Owner, HostID: noHost, Type: "virtual",
		CreationTime: now.UTC().Format(time.RFC3339), FirstSeenAt: now,
	})
	record[session.AttrExpiresAt] = now.Add(lifetime).Unix()
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:           &t.Name,
		Item:                dynamo.Item(record),
		ConditionExpression: aws.String("attribute_not_exists(SessionId)"),
	})
	if err != nil {
		return fmt.Errorf("put %s into %s: %w", id, t.Name, err)
	}
	return nil
}

// Remove implements Records. It removes only the test's own record.
func (t Table) Remove(ctx context.Context, id string) error {
	_, err := t.Client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &t.Name,
		Key:                       dynamo.Item(session.Record{session.AttrSessionID: id}),
		ConditionExpression:       aws.String("#owner = :owner"), // a reserved word
		ExpressionAttributeNames:  map[string]string{"#owner": session.AttrOwner},
		ExpressionAttributeValues: map[string]types.AttributeValue{":owner": &types.AttributeValueMemberS{Value: Owner}},
	})
	if gone := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &gone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", id, t.Name, err)
	}
	return nil
}

// Control is the control API of the system on one machine. There the test session runs on one of the simulated hosts.
type Control struct {
	HTTP *http.Client
	URL  string

	host string
}

// Put implements Records.
func (c *Control) Put(ctx context.Context, id string) error {
	var hosts []struct{ HostId, State string }
	if err := c.call(ctx, http.MethodGet, "/local/hosts", "", &hosts); err != nil {
		return err
	}
	host := noHost // the first host, if there is none yet
	for _, h := range hosts {
		if h.State == "running" {
			host = h.HostId
			break
		}
	}
	c.host = host
	return c.call(ctx, http.MethodPut, "/local/hosts/"+host+"/sessions/"+url.PathEscape(id), `{"Owner": "`+Owner+`"}`, nil)
}

// Remove implements Records. It first ends the session: since its record was removed by force, an inventory would list
// it again.
func (c *Control) Remove(ctx context.Context, id string) error {
	if c.host == "" {
		return nil
	}
	err := c.call(ctx, http.MethodDelete, "/local/hosts/"+c.host+"/sessions/"+url.PathEscape(id), "", nil)
	if err != nil && !errors.Is(err, errNotFound) { // with ForceMode=best-effort its host has closed it
		return err
	}
	if err := c.call(ctx, http.MethodDelete, "/local/sessions/"+url.PathEscape(id), "", nil); err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	return nil
}

var errNotFound = errors.New("not found")

func (c *Control) call(ctx context.Context, method, path, body string, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w: %s", method, path, errNotFound, short(content))
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, short(content))
	case answer == nil:
		return nil
	}
	return json.Unmarshal(content, answer)
}
