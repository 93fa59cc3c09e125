// Package docs runs the examples of the documentation.
//
// Every fenced block in sh, python, json or go is an example, and every example
// must be run, or compared with what the one before it printed, or be skipped
// with a reason. What a block is follows from its language:
//
//	sh          run by bash, in a folder that the page's blocks share; a line
//	            "pyexec serve ..." starts a server that stays for the rest of the page
//	python      a script for the server where it defines main at top level,
//	            else a program that uses the Python client
//	json        a request where it has the key "script"; else what the block
//	            before it must print
//	text        what the block before it must print
//	go          a program that uses the Go client
//
// In what is to be printed "..." stands for anything: in JSON as a value, or as
// a key for other members; in text within a line, or alone for some lines.
//
// A comment just before a block changes this: <!-- example: skip, REASON --> or
// <!-- example: status 1 --> for a shell block that exits with that status.
package docs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// block is a fenced block of a page.
type block struct {
	line     int // of its opening fence
	language string
	text     string
	skip     string // why it is not run
	status   int    // that it must exit with
}

var (
	fence     = regexp.MustCompile("^(```+)([a-z]*)\\s*$")
	directive = regexp.MustCompile(`^<!-- example: (.*) -->$`)
	skipped   = regexp.MustCompile(`^skip, (\S.+)$`)
	statused  = regexp.MustCompile(`^status (\d+)$`)
	// looksRun is what a block without a language must not begin a line with.
	looksRun = regexp.MustCompile(`(?m)^(\$ )?(sudo |[A-Z_]+=\S+ )*(curl|make|pyexec|bin/pyexec|docker|pip|python3?|go|gcloud|kubectl|apt|apt-get|git|cat|export) `)
)

// blocks reads a page. Its error names every line that is not as it must be.
func blocks(page string) ([]block, error) {
	var all []block
	var wrong []string
	complain := func(line int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
	}
	var open *block
	var end, said string
	for i, line := range strings.Split(page, "\n") {
		n := i + 1
		switch {
		case open != nil && line == end:
			if open.language == "" && looksRun.MatchString(open.text) {
				complain(open.line, "an example without a language: write ```sh")
			}
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			if m := directive.FindStringSubmatch(line); m != nil {
				said = m[1]
				continue
			}
			m := fence.FindStringSubmatch(line)
			if m == nil {
				if said != "" && line != "" {
					complain(n, "a comment about an example without one")
					said = ""
				}
				if strings.HasPrefix(line, "```") {
					complain(n, "a fence that cannot be read: %s", line)
				}
				continue
			}
			open, end = &block{line: n, language: m[2]}, m[1]
			if err := open.directed(said); err != nil {
				complain(n, "%v", err)
			}
			said = ""
		}
	}
	if open != nil {
		complain(open.line, "the block has no end")
	}
	if wrong != nil {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return all, nil
}

func (b *block) directed(said string) error {
	if m := skipped.FindStringSubmatch(said); m != nil {
		b.skip = m[1]
		return nil
	}
	if m := statused.FindStringSubmatch(said); m != nil {
		b.status, _ = strconv.Atoi(m[1])
		return nil
	}
	if said != "" {
		return fmt.Errorf("what to do is not understood: %q", said)
	}
	return nil
}

var definesMain = regexp.MustCompile(`(?m)^(async )?def main\(`)

// isScript tells whether a Python block is for the server.
func (b block) isScript() bool { return b.language == "python" && definesMain.MatchString(b.text) }

var hasScript = regexp.MustCompile(`(?s)^\s*\{.*"script"\s*:`)

// isRequest tells whether a JSON block is for the server.
func (b block) isRequest() bool { return b.language == "json" && hasScript.MatchString(b.text) }

// isAnswer tells whether a block is what another one prints.
func (b block) isAnswer() bool {
	return b.language == "text" || b.language == "json" && !b.isRequest()
}
