package pyexec

import "log/slog"

// Secret is a text that no log, error or encoder may show. Only Reveal does.
type Secret struct{ text string }

// NewSecret hides text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the text itself, for the one place that needs it.
func (s Secret) Reveal() string { return s.text }

const hidden = "[hidden]"

// String hides the text, from every verb of fmt that asks for a string.
func (s Secret) String() string { return hidden }

// GoString hides it from %#v.
func (s Secret) GoString() string { return hidden }

// LogValue hides it from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides it from every encoder, that of JSON included.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON hides it from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
