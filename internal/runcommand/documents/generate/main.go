// Command generate writes the host scripts of this project into the documents of template.yaml (make documents). Their
// sources are in internal/runcommand/documents; the template has what hosts get, so that it needs nothing else.
package main

import (
	"fmt"
	"log"
	"os"

	"dcv-session-broker/internal/template"
)

const (
	sourcesDir   = "internal/runcommand/documents"
	templateFile = "template.yaml"
)

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile(templateFile)
	if err != nil {
		log.Fatal(err)
	}
	written, err := write(string(text), os.DirFS(sourcesDir))
	if err != nil {
		log.Fatal(err)
	}
	if written != string(text) {
		if err := os.WriteFile(templateFile, []byte(written), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	tmpl, err := template.Load(templateFile, nil)
	if err != nil {
		log.Fatal(err)
	}
	full := false
	for _, d := range tmpl.Documents() {
		left := room(d)
		fmt.Printf("%s: %d bytes are left\n", d.LogicalID, left)
		full = full || left < 0
	}
	if full {
		log.Fatalf("a document is longer than %d bytes with its parameters pasted in", maxDocumentBytes)
	}
}
