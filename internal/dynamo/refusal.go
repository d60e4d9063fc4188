package dynamo

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// notSent is the error of a call that never left.
type notSent struct{ cause error }

func (e *notSent) Error() string { return "not sent: " + e.cause.Error() }
func (e *notSent) Unwrap() error { return e.cause }

// refused tells whether a try certainly wrote nothing: it was not sent, or
// DynamoDB answered that it would not. A time-out, a lost connection, a
// server's error and an answer that cannot be read all leave it open.
func refused(err error) bool {
	if unsent := (*notSent)(nil); errors.As(err, &unsent) {
		return true
	}
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) {
		return answer.HTTPStatusCode()/100 == 4
	}
	fault := smithy.APIError(nil)
	return errors.As(err, &fault) && fault.ErrorFault() == smithy.FaultClient
}

// faultInBatch tells whether a refusal may be about one statement. All others
// are about who calls, how often, or which table: halves would fail like the
// whole.
func faultInBatch(err error) bool {
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) &&
		answer.HTTPStatusCode() == http.StatusRequestEntityTooLarge {
		return true
	}
	fault := smithy.APIError(nil)
	if !errors.As(err, &fault) {
		return false
	}
	code := fault.ErrorCode()
	return code == "ValidationException" || code == "SerializationException"
}

// tries watches the tries that the SDK makes of one call, of which it reports
// only the last: throttled, say, after a time-out that had written.
type tries struct{ unclear error }

func (t *tries) watch(o *dynamodb.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("WatchTries", func(
			ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
		) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if err != nil && !refused(err) {
				t.unclear = err
			}
			return out, metadata, err
		}), middleware.Before)
	})
}
