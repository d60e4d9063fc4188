package dynamodblocal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// MoveIndexes changes a table's indexes to those of in. It makes or deletes one index in
// each update, as DynamoDB requires, and waits for each update. It does not change a
// table that has exactly these indexes.
func MoveIndexes(ctx context.Context, client *dynamodb.Client, in *dynamodb.CreateTableInput) error {
	there, err := indexNames(ctx, client, in)
	if err != nil {
		return err
	}
	var updates []types.GlobalSecondaryIndexUpdate
	wanted := map[string]bool{}
	for _, index := range in.GlobalSecondaryIndexes {
		wanted[*index.IndexName] = true
		if !slices.Contains(there, *index.IndexName) {
			updates = append(updates, types.GlobalSecondaryIndexUpdate{Create: &types.CreateGlobalSecondaryIndexAction{
				IndexName: index.IndexName, KeySchema: index.KeySchema, Projection: index.Projection,
			}})
		}
	}
	for _, name := range there {
		if !wanted[name] {
			updates = append(updates, types.GlobalSecondaryIndexUpdate{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String(name)}})
		}
	}
	for _, update := range updates {
		if _, err := client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
			TableName: in.TableName, AttributeDefinitions: in.AttributeDefinitions,
			GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{update},
		}); err != nil {
			return fmt.Errorf("move the indexes of table %s: %w", *in.TableName, err)
		}
		if _, err := indexNames(ctx, client, in); err != nil {
			return err
		}
	}
	return nil
}

// indexNames waits until all of the table's indexes can be used, and returns their names.
func indexNames(ctx context.Context, client *dynamodb.Client, in *dynamodb.CreateTableInput) ([]string, error) {
	for {
		out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: in.TableName})
		if err != nil {
			return nil, fmt.Errorf("describe table %s: %w", *in.TableName, err)
		}
		var names []string
		active := out.Table.TableStatus == types.TableStatusActive
		for _, index := range out.Table.GlobalSecondaryIndexes {
			names = append(names, *index.IndexName)
			active = active && index.IndexStatus == types.IndexStatusActive
		}
		if active {
			return names, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
