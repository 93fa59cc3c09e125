// Package openapi owns the document of the HTTP API, which is the contract
// itself: openapi.yaml says how to extend it. Only the HTTP door imports it.
package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/python-code-executor/pyexec"
)

//go:embed openapi.yaml
var source []byte

// Document is the OpenAPI document of a server of this version with these
// limits, as JSON. It takes some milliseconds, so nobody asks before a client
// does.
func Document(version string, limits pyexec.Limits) []byte {
	var b bytes.Buffer
	write(&b, load(version, limits))
	return b.Bytes()
}

// load reads the document and puts in what depends on the server.
func load(version string, limits pyexec.Limits) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		panic(fmt.Errorf("bug: openapi.yaml: %w", err))
	}
	root := doc.Content[0]
	if version != "" {
		at(root, "info", "version").Value = version
	}
	field := func(name, bound string) *yaml.Node {
		return at(root, "components", "schemas", "ExecuteRequest", "properties", name, bound)
	}
	field("timeout_ms", "maximum").Value = strconv.FormatInt(limits.Timeout.Milliseconds(), 10)
	field("memory_mb", "minimum").Value = strconv.FormatInt(limits.MinMemory.MB(), 10)
	field("memory_mb", "maximum").Value = strconv.FormatInt(limits.Memory.MB(), 10)
	return root
}

// at is the node at a path of keys, which must be there.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		next := find(n, key)
		if next == nil {
			panic(fmt.Sprintf("bug: openapi.yaml has no %q of %q", key, path))
		}
		n = next
	}
	return n
}

// find is the value of a key of a mapping; nil without.
func find(n *yaml.Node, key string) *yaml.Node {
	for _, m := range members(n) {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

type member struct {
	Key   string
	Value *yaml.Node
}

// members are the keys and values of a mapping in their order, those that are
// merged into it ("<<") after its own.
func members(n *yaml.Node) []member {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var own, merged []member
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			merged = append(merged, members(n.Content[i+1])...)
			continue
		}
		own = append(own, member{n.Content[i].Value, target(n.Content[i+1])})
	}
	for _, m := range merged {
		if !slices.ContainsFunc(own, func(o member) bool { return o.Key == m.Key }) {
			own = append(own, m)
		}
	}
	return own
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// write appends n as JSON, in its order.
func write(b *bytes.Buffer, n *yaml.Node) {
	n = target(n)
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i, m := range members(n) {
			if i > 0 {
				b.WriteByte(',')
			}
			quote(b, m.Key)
			b.WriteByte(':')
			write(b, m.Value)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, element := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, element)
		}
		b.WriteByte(']')
	default:
		if n.Tag == "!!str" {
			quote(b, n.Value)
			return
		}
		b.WriteString(n.Value) // true, false, null and numbers are JSON as they are
	}
}

func quote(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // a string always encodes
	b.Truncate(b.Len() - 1) // its newline
}
