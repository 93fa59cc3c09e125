package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Example is an example of the document.
type Example struct {
	Name   string
	Status int // of an answer; 0: of a request
	Value  json.RawMessage
}

// ErrorType is error.type of an example of an answer; "" without.
func (e Example) ErrorType() string {
	var body struct{ Error struct{ Type string } }
	_ = json.Unmarshal(e.Value, &body)
	return body.Error.Type
}

// Examples are those of an operation of the server at base, requests and then
// answers; each must be what the schema beside it says, but for a request that
// the document answers with invalid_request.
func Examples(base, method, path string) ([]Example, error) {
	d, err := documentOf(base)
	if err != nil {
		return nil, err
	}
	place := []string{"paths", path, method}
	found, err := d.examples(append(slices.Clone(place), "requestBody"), 0)
	if err != nil {
		return nil, err
	}
	responses, _ := d.get(append(slices.Clone(place), "responses")...).(map[string]any)
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		number, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("the status %q: %w", status, err)
		}
		more, err := d.examples(append(slices.Clone(place), "responses", status), number)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// ErrorExamples are those of the answers that no operation lists: of unknown
// paths and methods.
func ErrorExamples(base string) ([]Example, error) {
	d, err := documentOf(base)
	if err != nil {
		return nil, err
	}
	unknown, err := d.examples([]string{"components", "responses", "NotFound"}, 404)
	if err != nil {
		return nil, err
	}
	wrong, err := d.examples([]string{"components", "responses", "MethodNotAllowed"}, 405)
	return append(unknown, wrong...), err
}

// RequestFields are those that the document gives the body of an operation.
func RequestFields(base, method, path string) ([]string, error) {
	d, err := documentOf(base)
	if err != nil {
		return nil, err
	}
	body, at := d.resolve([]string{"paths", path, method, "requestBody"})
	if body == nil {
		return nil, fmt.Errorf("%s %s has no body", method, path)
	}
	schema, _ := d.resolve(append(slices.Clone(at), "content", "application/json", "schema"))
	properties, _ := schema["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties)), nil
}

func (d *document) examples(at []string, status int) ([]Example, error) {
	holder, at := d.resolve(at)
	content, _ := holder["content"].(map[string]any)
	media, _ := content["application/json"].(map[string]any)
	examples, _ := media["examples"].(map[string]any)
	var found []Example
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		value := examples[name].(map[string]any)["value"]
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if name != "invalid_request" || status != 0 {
			if err := d.validate(append(slices.Clone(at), "content", "application/json", "schema"), value); err != nil {
				return nil, fmt.Errorf("the example %s of %v: %w", name, at, err)
			}
		}
		found = append(found, Example{Name: name, Status: status, Value: text})
	}
	return found, nil
}
