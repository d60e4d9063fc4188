package fleet

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// What Systems Manager answers to requests that it does not do. Where AWS documents no text, or says that it may be
// empty, there is none: nobody should read one.

func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{
		Code:    "ValidationException",
		Message: fmt.Sprintf(format, args...),
		Fault:   smithy.FaultClient,
	}
}

// notSimulated is for requests that the real one would take.
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

// deref is the value of an optional member, or its zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
