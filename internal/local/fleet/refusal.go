package fleet

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// Systems Manager's answers to requests that it refuses. They have no text where AWS documents none, or says that
// it may be empty: no caller should depend on one.

func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{
		Code:    "ValidationException",
		Message: fmt.Sprintf(format, args...),
		Fault:   smithy.FaultClient,
	}
}

// notSimulated is for requests that the real Systems Manager accepts.
func notSimulated(what string) error {
	return invalid("%s: exists in Systems Manager, but not on this machine", what)
}

func denied(action, resource string) error {
	return &smithy.GenericAPIError{
		Code: "AccessDeniedException",
		Message: fmt.Sprintf("User: arn:aws:sts::%s:assumed-role/local/local is not authorized to perform: %s on resource: %s"+
			" because no identity-based policy allows the %[2]s action", account, action, resource),
		Fault: smithy.FaultClient,
	}
}

func invalidParameters(format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	return &types.InvalidParameters{Message: &message}
}

// deref returns the value of an optional member, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
