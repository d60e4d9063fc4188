package system

import (
	"sync"

	"github.com/aws/smithy-go"
)

// A fault is a service's refusal of one kind of call.
type fault struct {
	operations []string // under their names in calls, of the table in memory and of DynamoDB
	code       string
	message    string
}

// serviceFaults are the faults that a test can set for a function, by name.
var serviceFaults = map[string]fault{
	"writes": {
		[]string{"table:Write", "dynamodb:BatchExecuteStatement"},
		"AccessDeniedException", "No identity-based policy allows the action",
	},
	"commands": {[]string{"ssm:SendCommand"}, "ThrottlingException", "Rate exceeded"},
	"outputs":  {[]string{"ssm:GetCommandInvocation"}, "ThrottlingException", "Rate exceeded"},
}

// refusals are the calls that are refused, by function and operation.
type refusals struct {
	mu sync.Mutex
	of map[[2]string]fault
}

func (r *refusals) setRefused(function string, f fault, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[[2]string]fault{}
	}
	for _, operation := range f.operations {
		if on {
			r.of[[2]string{function, operation}] = f
		} else {
			delete(r.of, [2]string{function, operation})
		}
	}
}

// refusal returns the service's error, or nil if the call is not refused.
func (r *refusals) refusal(function, operation string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.of[[2]string{function, operation}]; ok {
		return &smithy.GenericAPIError{Code: f.code, Message: f.message, Fault: smithy.FaultClient}
	}
	return nil
}
