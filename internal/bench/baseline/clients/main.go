// Command clients makes the SDK's clients that delete-sessions has, and nothing
// else: the least that a cold start of a function with these can take.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
)

func main() {
	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	systemsManager := ssm.NewFromConfig(awsenv.SystemsManager.Config())
	// Its calls are never made, but are linked.
	lambda.Start(func(ctx context.Context) error {
		if _, err := db.BatchExecuteStatement(ctx, nil); err != nil {
			return err
		}
		if _, err := systemsManager.SendCommand(ctx, nil); err != nil {
			return err
		}
		_, err := systemsManager.DescribeInstanceInformation(ctx, nil)
		return err
	})
}
