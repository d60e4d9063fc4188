package httpapi

// Bodies are the bodies of answers, by the name of their schema in the contract.
var Bodies = map[string]any{
	"DeleteSessionsResponse":            deleteAnswer{},
	"DeleteSessionSuccessfulResponse":   successful{},
	"DeleteSessionUnsuccessfulResponse": unsuccessful{},
	"DryRunSession":                     hit{},
	"DescribeSessionsResponse":          describeAnswer{},
	"Session":                           described{},
	"Server":                            server{},
	"Host":                              serverHost{},
	"Aws":                               serverAWS{},
	"Tag":                               tag{},
	"ErrorResponse":                     fault{},
	"Fault":                             Fault{},
}

// The limits of describeSessions.
const (
	MaxResults    = maxResults
	MaxIDs        = maxIDs
	MaxFilters    = maxFilters
	MaxTokenChars = maxTokenChars
)
