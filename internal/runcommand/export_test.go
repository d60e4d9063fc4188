package runcommand

import (
	"context"
	"maps"
)

// Read returns the maps of all pages as one.
func (r *Reader) Read(ctx context.Context, commandID string, hostIDs []string) (map[string]Invocation, map[string]error) {
	invocations, errs := map[string]Invocation{}, map[string]error{}
	for some, failed := range r.Pages(ctx, commandID, hostIDs) {
		maps.Copy(invocations, some)
		maps.Copy(errs, failed)
	}
	return invocations, errs
}
