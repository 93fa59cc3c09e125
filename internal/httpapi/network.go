package httpapi

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec"
)

// maxRules is how many hosts a request may name.
const maxRules = 64

// readNetwork reads {"allow": [...]}. What the server allows is not known
// here; see narrow.
func (d *decoder) readNetwork(v jsontext.Value, field string) error {
	return eachMember(v, field, func(name string, v jsontext.Value) error {
		if name != "allow" {
			return unknownField(field, name, []string{"allow"})
		}
		field := field + "." + name
		d.req.Allow = pyexec.Allow{} // not nil: nothing is asked for by a list without hosts
		return eachElement(v, field, func(i int, v jsontext.Value) error {
			field := fmt.Sprintf("%s[%d]", field, i)
			text, err := stringOf(v, field)
			if err != nil {
				return err
			}
			if i >= maxRules {
				return invalid(field, "network.allow may have at most %d hosts", maxRules)
			}
			rule, err := pyexec.ParseDestination(text)
			if err != nil {
				return invalid(field, "%s: %s", field, err)
			}
			d.req.Allow = append(d.req.Allow, rule)
			return nil
		})
	})
}

// narrow is what a run may reach: what its request asks for, if that is within
// what it may have, and all of that where the request does not say.
func narrow(may, asked pyexec.Allow) (pyexec.Allow, error) {
	if asked == nil {
		return may, nil
	}
	for i, rule := range asked {
		if may.Covers(rule) {
			continue
		}
		field := fmt.Sprintf("network.allow[%d]", i)
		if len(may) == 0 {
			return nil, invalid(field, "%s: scripts may reach nothing here; the server's operator allows hosts with --egress, and may narrow them for a caller", field)
		}
		return nil, invalid(field, "%s: %s is not within what may be reached here; a request may only narrow that", field, rule)
	}
	return asked, nil
}
