package dynamodblocal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

// Config is the SDK's configuration for the server at the endpoint, which asks
// for credentials but takes any. All keys see the same tables, unless the server
// was started with TablesByKey.
func Config(endpoint string) aws.Config { return ConfigOf(endpoint, "local") }

// ConfigOf is Config with an access key, of letters and digits.
func ConfigOf(endpoint, key string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: "local"}, nil
		}),
	}
}

// CreateTable makes a table, waits until it can be used, and returns its
// stream's ARN, if it has one. A table of that name that is there already is
// left as it is.
func CreateTable(ctx context.Context, client *dynamodb.Client, in *dynamodb.CreateTableInput) (streamARN string, err error) {
	name := aws.ToString(in.TableName)
	if _, err := client.CreateTable(ctx, in); err != nil {
		if there := (*types.ResourceInUseException)(nil); !errors.As(err, &there) {
			return "", fmt.Errorf("create table %s: %w", name, err)
		}
	}
	about := &dynamodb.DescribeTableInput{TableName: in.TableName}
	if err := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, time.Second
	}).Wait(ctx, about, time.Minute); err != nil {
		return "", fmt.Errorf("wait for table %s: %w", name, err)
	}
	out, err := client.DescribeTable(ctx, about)
	if err != nil {
		return "", fmt.Errorf("describe table %s: %w", name, err)
	}
	return aws.ToString(out.Table.LatestStreamArn), nil
}

// A Store reads and seeds a table of sessions directly. Nothing that is
// deployed does that; the local system shows and registers sessions so.
type Store struct {
	Client    *dynamodb.Client
	TableName string
}

// Put writes the whole record, whatever there was before.
func (s Store) Put(ctx context.Context, r session.Record) error {
	_, err := s.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.TableName, Item: dynamo.Item(r)})
	if err != nil {
		return fmt.Errorf("put session %v: %w", r[session.AttrSessionID], err)
	}
	return nil
}

// Delete removes the record, if there is one.
func (s Store) Delete(ctx context.Context, id string) error {
	_, err := s.Client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.TableName, Key: key(id)})
	if err != nil {
		return fmt.Errorf("delete session %s: %w", id, err)
	}
	return nil
}

// Get reads the record; it is nil if there is none.
func (s Store) Get(ctx context.Context, id string) (session.Record, error) {
	out, err := s.Client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.TableName, Key: key(id), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("get session %s: %w", id, err)
	}
	return dynamo.Record(out.Item), nil
}

// All reads all records, sorted by session ID.
func (s Store) All(ctx context.Context) ([]session.Record, error) {
	var records []session.Record
	pages := dynamodb.NewScanPaginator(s.Client, &dynamodb.ScanInput{
		TableName: &s.TableName, ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan table %s: %w", s.TableName, err)
		}
		for _, item := range page.Items {
			records = append(records, dynamo.Record(item))
		}
	}
	slices.SortFunc(records, func(a, b session.Record) int {
		return cmp.Compare(a.Session().ID, b.Session().ID)
	})
	return records, nil
}

func key(id string) map[string]types.AttributeValue {
	return dynamo.Item(session.Record{session.AttrSessionID: id})
}
