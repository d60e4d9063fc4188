package fleet

import "path/filepath"

// An emptyList is what a host's dcv prints if it has no sessions. "" is an empty list with -j, and a sentence without.
type emptyList string

// The values are the names of the controls.
const (
	noneAsText    emptyList = "none-as-text"    // a sentence, with -j too
	noneAsNewline emptyList = "none-as-newline" // a new line with -j, a sentence without
	noneAsNothing emptyList = "none-as-nothing" // nothing, either way
)

// NoneAsText makes the host's dcv print a sentence if it has no sessions.
func (f *Fleet) NoneAsText(hostID string) error { return f.setEmptyList(hostID, noneAsText) }

// NoneAsNewline makes it print a new line.
func (f *Fleet) NoneAsNewline(hostID string) error { return f.setEmptyList(hostID, noneAsNewline) }

// NoneAsNothing makes it print nothing.
func (f *Fleet) NoneAsNothing(hostID string) error { return f.setEmptyList(hostID, noneAsNothing) }

// NoneAsList undoes the others.
func (f *Fleet) NoneAsList(hostID string) error { return f.setEmptyList(hostID, "") }

func (f *Fleet) setEmptyList(hostID string, form emptyList) error {
	return f.set(hostID, func(h *host) error {
		h.EmptyList = form
		const sentence = "There are no sessions available.\n"
		files := map[emptyList]map[string]string{
			noneAsText: {"none": sentence}, noneAsNewline: {"none": "\n"}, noneAsNothing: {"none": "", "none-text": ""},
		}[form]
		for _, name := range []string{"none", "none-text"} {
			path := filepath.Join(f.StateDir(h.id), name)
			err := removed(path)
			if text, ok := files[name]; ok {
				err = writeWhole(path, []byte(text), 0o644)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
