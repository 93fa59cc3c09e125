package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// setting is what the variables of the OTLP exporter say
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). The SDK reads
// those of sampler, batches, limits and resource itself, once sdkSettings has
// found nothing wrong with them.
type setting struct {
	endpoint string
	shown    string // of it, where a password or a key may be in the rest
	headers  map[string]string
	gzip     bool
	timeout  time.Duration
	tls      *tls.Config
	parent   propagation.TextMapPropagator
}

// of is the value of a variable for traces, or else of the one for all signals.
func of(name string) (value, from string) {
	for _, from = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = strings.TrimSpace(os.Getenv(from)); value != "" {
			return value, from
		}
	}
	return "", from
}

// settings is nil where traces are off: no endpoint is set, and nobody asked
// for otlp by name.
func settings() (*setting, error) {
	exporter := strings.TrimSpace(os.Getenv("OTEL_TRACES_EXPORTER"))
	endpoint, from := of("ENDPOINT")
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && endpoint == "":
		return nil, nil //nolint:nilnil // off is no error
	case exporter != "" && exporter != "otlp":
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not otlp or none", exporter)
	case endpoint == "":
		endpoint, from = "http://localhost:4318", "OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	s := &setting{timeout: 10 * time.Second}
	var problems []error
	problem := func(name string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		problem(from, errors.New("is not a URL such as http://localhost:4318")) // not shown: it may have a password
	case from == "OTEL_EXPORTER_OTLP_ENDPOINT":
		u = u.JoinPath("v1/traces")
		fallthrough
	default:
		s.endpoint = u.String()
		s.shown = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	if protocol, from := of("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		problem(from, fmt.Errorf("%q is not spoken here: use http/protobuf, and the collector's port for it, usually 4318", protocol))
	}
	if compression, from := of("COMPRESSION"); compression == "gzip" {
		s.gzip = true
	} else if compression != "" && compression != "none" {
		problem(from, fmt.Errorf("%q is not gzip or none", compression))
	}
	if timeout, from := of("TIMEOUT"); timeout != "" {
		ms, err := strconv.Atoi(timeout)
		if err != nil || ms < 1 {
			problem(from, fmt.Errorf("%q is not a number of milliseconds", timeout))
		}
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	headers, from := of("HEADERS")
	s.headers, err = pairs(headers)
	problem(from, err)
	s.tls, err = certificates()
	problem("OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY", err)
	s.parent, err = propagators()
	problem("OTEL_PROPAGATORS", err)
	sdkSettings(problem)
	return s, errors.Join(problems...)
}

// sdkSettings says what is wrong with the variables that the SDK reads
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/):
// it warns of some, passes over others, and panics with a size below 0.
func sdkSettings(problem func(name string, err error)) {
	const (
		most                 = 1_000_000
		queueSize, batchSize = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
	)
	for least, names := range [][]string{
		{
			"OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
			"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
		},
		{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", queueSize, batchSize},
	} {
		for _, name := range names {
			text := os.Getenv(name)
			if n, err := strconv.Atoi(text); text != "" && (err != nil || n < least || n > most) {
				problem(name, fmt.Errorf("%q is not an integer between %d and %d", text, least, most))
			}
		}
	}
	size := func(name string, usual int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return usual
	}
	if queue, batch := size(queueSize, sdk.DefaultMaxQueueSize), size(batchSize, 0); queue > 0 && batch > queue && batch <= most {
		problem(batchSize, fmt.Errorf("%d is more than %s, which is %d", batch, queueSize, queue))
	}
	samplers := []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}
	if sampler := strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")); sampler != "" && !slices.Contains(samplers, strings.ToLower(sampler)) {
		problem("OTEL_TRACES_SAMPLER", fmt.Errorf("%q is not one of %s", sampler, strings.Join(samplers, ", ")))
	}
	if arg := strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER_ARG")); arg != "" {
		if ratio, err := strconv.ParseFloat(arg, 64); err != nil || !(0 <= ratio && ratio <= 1) { // so that NaN is none
			problem("OTEL_TRACES_SAMPLER_ARG", fmt.Errorf("%q is not a number between 0 and 1", arg))
		}
	}
	if attributes := strings.TrimSpace(os.Getenv("OTEL_RESOURCE_ATTRIBUTES")); attributes != "" {
		_, err := pairs(attributes)
		if slices.ContainsFunc(strings.Split(attributes, ","), func(part string) bool { return strings.TrimSpace(part) == "" }) {
			err = errors.New("has nothing between two commas, or before or after one")
		}
		problem("OTEL_RESOURCE_ATTRIBUTES", err)
	}
}

// pairs reads key=value, with commas between and values percent-encoded. Its
// errors show no value: one may be a key.
func pairs(text string) (map[string]string, error) {
	all := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !ok || key == "" || err != nil {
			return nil, errors.New("is not key=value with commas between, the values percent-encoded")
		}
		all[key] = value
	}
	return all, nil
}

// certificates is nil where the system's trust is enough.
func certificates() (*tls.Config, error) {
	ca, _ := of("CERTIFICATE")
	cert, _ := of("CLIENT_CERTIFICATE")
	key, _ := of("CLIENT_KEY")
	if ca == "" && cert == "" && key == "" {
		return nil, nil //nolint:nilnil // the default
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate in PEM", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// propagators are what a request's trace may be named by.
func propagators() (propagation.TextMapPropagator, error) {
	names := os.Getenv("OTEL_PROPAGATORS")
	if strings.TrimSpace(names) == "" {
		names = "tracecontext"
	}
	var all []propagation.TextMapPropagator
	for name := range strings.SplitSeq(names, ",") {
		switch strings.TrimSpace(name) {
		case "tracecontext":
			all = append(all, propagation.TraceContext{})
		case "baggage", "none", "": // baggage would go no further than here
		default:
			return nil, fmt.Errorf("%q is not tracecontext, baggage or none", name)
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...), nil
}
