// Package contract holds the contract of the HTTP API, an OpenAPI document, for tests
// and for the local system. The functions do not use it.
package contract

import _ "embed"

// OpenAPI is the document, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
