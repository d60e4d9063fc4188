package describesessions

import "dcv-session-broker/internal/httpapi"

// Bodies are the bodies of answers, by the name of their schema in the contract.
var Bodies = map[string]any{
	"DescribeSessionsResponse": describeAnswer{},
	"Session":                  described{},
	"Server":                   server{},
	"Host":                     serverHost{},
	"Aws":                      serverAWS{},
	"Tag":                      tag{},
	"ErrorResponse":            httpapi.ErrorResponse{},
	"Fault":                    httpapi.Fault{},
}

// The limits of describeSessions.
const (
	MaxResults    = maxResults
	MaxIDs        = maxIDs
	MaxFilters    = maxFilters
	MaxTokenChars = maxTokenChars
)
