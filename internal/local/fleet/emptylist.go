package fleet

import "path/filepath"

// An emptyList is what a host's dcv prints where it has no sessions. "" is a list as JSON, and a sentence without -j.
type emptyList string

// The names are those of the controls.
const (
	noneAsText    emptyList = "none-as-text"    // a sentence, with -j too
	noneAsNewline emptyList = "none-as-newline" // a new line with -j, a sentence without
	noneAsNothing emptyList = "none-as-nothing" // nothing, either way
)

// NoneAsText has the host's dcv print a sentence where it has no sessions.
func (f *Fleet) NoneAsText(hostID string) error { return f.setEmptyList(hostID, noneAsText) }

// NoneAsNewline has it print a new line there.
func (f *Fleet) NoneAsNewline(hostID string) error { return f.setEmptyList(hostID, noneAsNewline) }

// NoneAsNothing has it print nothing there.
func (f *Fleet) NoneAsNothing(hostID string) error { return f.setEmptyList(hostID, noneAsNothing) }

// NoneAsList undoes these.
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
