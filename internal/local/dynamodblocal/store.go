package dynamodblocal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/awsenv/awsclient"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

// Config returns the SDK's configuration for the server at the endpoint, which accepts
// any credentials. All keys see the same tables, unless the server was started with
// TablesByKey.
func Config(endpoint string) aws.Config { return ConfigOf(endpoint, "local") }

// ConfigOf is Config with an access key, of letters and digits.
func ConfigOf(endpoint, key string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: "local"}, nil
		}),
		HTTPClient: awsclient.Client(awshttp.NewBuildableClient()),
	}
}

// CreateTable creates a table, waits until it can be used, and returns its stream's
// ARN, if it has one. It does not change an existing table of that name.
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

// A Store reads and seeds a table of sessions directly. Only the local system and tests
// use it.
type Store struct {
	Client    *dynamodb.Client
	TableName string
}

// Put writes the whole record and replaces an existing one.
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

// Get returns the record, or nil if there is none.
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
