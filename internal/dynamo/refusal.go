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

// notSent is the error of a call that was not sent.
type notSent struct{ cause error }

func (e *notSent) Error() string { return "not sent: " + e.cause.Error() }
func (e *notSent) Unwrap() error { return e.cause }

// refused tells whether a try certainly wrote nothing: it was not sent, or DynamoDB
// refused it. After a time-out, a lost connection, a server error or an unreadable
// answer that is not known.
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

// faultInBatch tells whether a refusal may be about one statement. All others are about
// the caller, the rate or the table: both halves would fail, too.
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

// tries observes the tries of one call, of which the SDK reports only the last: for
// example, throttled after a time-out that had written.
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
