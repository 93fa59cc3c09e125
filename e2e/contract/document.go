package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// plumbing are headers that need not be written down: those of HTTP itself and
// those that browsers want.
var plumbing = map[string]bool{
	"Date": true, "Connection": true, "Content-Length": true, "Content-Type": true, "Transfer-Encoding": true,
	"Cache-Control": true, "Vary": true, "X-Content-Type-Options": true, "X-Frame-Options": true, "Referrer-Policy": true,
	"Content-Security-Policy": true, "Strict-Transport-Security": true, "Cross-Origin-Resource-Policy": true,
	"Cross-Origin-Opener-Policy": true, "Cross-Origin-Embedder-Policy": true, "Permissions-Policy": true,
	"Access-Control-Allow-Origin": true, "Access-Control-Allow-Methods": true, "Access-Control-Allow-Headers": true,
	"Access-Control-Expose-Headers": true, "Access-Control-Max-Age": true, "Etag": true,
}

// document is a parsed OpenAPI document and its compiled schemas.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema // by JSON pointer
}

const address = "openapi.json"

func parse(text []byte) (*document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("the document is not an object")
	}
	d := &document{root: root, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	return d, d.compiler.AddResource(address, root)
}

// check is Check for one document.
func (d *document) check(x Exchange) error {
	at, err := d.response(x)
	if err != nil {
		return err
	}
	response, at := d.resolve(at)
	if err := d.checkHeaders(response, at, x); err != nil {
		return err
	}
	if err := d.checkBody(response, at, x); err != nil {
		return err
	}
	if x.Status == http.StatusOK && x.Request != nil && x.Method == http.MethodPost {
		return d.checkRequest(x)
	}
	return nil
}

// response is the place of the description of an answer.
func (d *document) response(x Exchange) ([]string, error) {
	path, known := d.get("paths", x.Path).(map[string]any)
	method := strings.ToLower(x.Method)
	switch {
	case x.Method == http.MethodHead: // answers as GET does
		method = "get"
	case strings.ToUpper(x.Method) != x.Method: // methods differ by case
		method = ""
	}
	operation, can := path[method].(map[string]any)
	var at []string
	switch {
	case !known && x.Status == http.StatusNotFound:
		return []string{"components", "responses", "NotFound"}, nil
	case !known:
		return nil, errors.New("there is no such path in the document")
	case !can && x.Status == http.StatusMethodNotAllowed:
		return []string{"components", "responses", "MethodNotAllowed"}, nil
	case !can:
		return nil, errors.New("there is no such operation in the document")
	}
	responses, _ := operation["responses"].(map[string]any)
	if _, ok := responses[strconv.Itoa(x.Status)]; !ok {
		return nil, fmt.Errorf("the document gives the operation only the statuses %v", slices.Sorted(maps.Keys(responses)))
	}
	return append(at, "paths", x.Path, method, "responses", strconv.Itoa(x.Status)), nil
}

func (d *document) checkHeaders(response map[string]any, at []string, x Exchange) error {
	headers, _ := response["headers"].(map[string]any)
	got := x.Header
	for name := range got {
		if !plumbing[name] && !slices.ContainsFunc(slices.Collect(maps.Keys(headers)), func(k string) bool { return strings.EqualFold(k, name) }) {
			return fmt.Errorf("the header %s is not in the document", name)
		}
	}
	for name := range headers {
		header, place := d.resolve(append(slices.Clone(at), "headers", name))
		values := got.Values(name)
		required, _ := header["required"].(bool)
		if with, _ := header["x-required-with"].(string); with != "" && strings.HasPrefix(got.Get("Content-Type"), with) {
			required = true
		}
		switch {
		case len(values) == 0 && required:
			return fmt.Errorf("the header %s is missing", name)
		case len(values) == 0:
			continue
		case len(values) > 1:
			return fmt.Errorf("the header %s is there %d times", name, len(values))
		}
		if err := d.validate(append(place, "schema"), values[0]); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	return nil
}

func (d *document) checkBody(response map[string]any, at []string, x Exchange) error {
	kind, _, err := mime.ParseMediaType(x.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("its Content-Type: %w", err)
	}
	content, _ := response["content"].(map[string]any)
	if content[kind] == nil {
		return fmt.Errorf("the document gives it the media types %v, not %s", slices.Sorted(maps.Keys(content)), kind)
	}
	if x.Method == http.MethodHead || x.Stream || kind != "application/json" {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(x.Body))
	if err != nil {
		return fmt.Errorf("its body: %w", err)
	}
	return d.validate(append(slices.Clone(at), "content", kind, "schema"), value)
}

// checkRequest holds what was run to what the document allows.
func (d *document) checkRequest(x Exchange) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(x.Request))
	if err != nil {
		return fmt.Errorf("a request that is not JSON was run: %w", err)
	}
	body, at := d.resolve([]string{"paths", x.Path, "post", "requestBody"})
	if body == nil {
		return errors.New("the operation has no body in the document")
	}
	if err := d.validate(append(at, "content", "application/json", "schema"), value); err != nil {
		return fmt.Errorf("the request was run, and is not what the document allows: %w", err)
	}
	return nil
}

// get is the value at a path of keys; nil without.
func (d *document) get(path ...string) any {
	var v any = d.root
	for _, key := range path {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

// resolve is the object at a path, which may be a reference to another place.
func (d *document) resolve(at []string) (map[string]any, []string) {
	object, _ := d.get(at...).(map[string]any)
	ref, ok := object["$ref"].(string)
	if !ok {
		return object, at
	}
	at = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	object, _ = d.get(at...).(map[string]any)
	return object, at
}

// validate holds a value to the schema at a place.
func (d *document) validate(at []string, value any) error {
	var pointer strings.Builder
	for _, key := range at {
		pointer.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key)))
	}
	d.mu.Lock()
	schema, ok := d.schemas[pointer.String()]
	if !ok {
		var err error
		if schema, err = d.compiler.Compile(address + "#" + pointer.String()); err != nil {
			d.mu.Unlock()
			return fmt.Errorf("the schema cannot be used: %w", err)
		}
		d.schemas[pointer.String()] = schema
	}
	d.mu.Unlock()
	if err := schema.Validate(value); err != nil {
		return shorten(err)
	}
	return nil
}

// shorten keeps the causes that lie deepest: of a union, those of the branch
// that came furthest.
func shorten(err error) error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	text, _ := json.Marshal(invalid.BasicOutput())
	return fmt.Errorf("%.1500s", text)
}
