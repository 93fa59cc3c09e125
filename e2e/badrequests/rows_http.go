package badrequests

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

var goodID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// headerRows are section B: headers and content type.
func (s *suite) headerRows() []row {
	plain := script(ScriptEcho, "1")
	typed := func(name string, want int, headers ...string) row {
		r := row{name: name, raw: request("POST", "/execute", plain, headers...), status: []int{want}}
		if want == 415 {
			r.kind = "unsupported_media_type"
		}
		return r
	}
	with := func(name string, headers ...string) row {
		return row{name: name, raw: echo("1", headers...), status: []int{200}}
	}
	refused := func(name string, status int, raw string) row {
		return row{name: name, raw: raw, status: []int{status}}
	}
	encoded := func(name, encoding, body string) row {
		return row{name: name, raw: post(body, "Content-Encoding: "+encoding), status: []int{415}, kind: "unsupported_media_type"}
	}
	rows := []row{
		typed("36 no Content-Type", 415),
		typed("37 text", 415, "Content-Type: text/plain"),
		typed("37 form", 415, "Content-Type: application/x-www-form-urlencoded"),
		typed("37 multipart", 415, "Content-Type: multipart/form-data; boundary=x"),
		typed("38 UTF-16", 415, "Content-Type: application/json; charset=utf-16"),
		typed("39 spelling", 200, `Content-Type: APPLICATION/JSON; charset="UTF-8"`),
		typed("40 list", 415, "Content-Type: application/json, text/plain"),
		typed("40 garbage", 415, "Content-Type: ;;;"),
		typed("41 two", 415, "Content-Type: application/json", "Content-Type: application/json"),
		encoded("42 gzip", "gzip", gzipped(plain)),
		encoded("43 gzip bomb", "gzip", gzipped(strings.Repeat("x", 16<<20))),
		encoded("44 encodings", "br, gzip, gzip", plain),
		with("45 Accept", "Accept: text/html", "Accept-Encoding: gzip;q=0"),
		refused("46 large header", 431, echo("1", "X-A: "+strings.Repeat("x", 20<<10))),
		refused("47 many headers", 431, echo("1", strings.Repeat("X-A: 1\r\n", 10_000)+"X-A: 1")),
		refused("48 long URI", 431, request("POST", "/execute?"+strings.Repeat("x", 20<<10), plain, "Content-Type: application/json")),
		refused("49 space in a name", 400, echo("1", "X : 1")),
		refused("49 NUL in a value", 400, echo("1", "X: a\x00b")),
		with("50 folded line", "X-A: 1\r\n 2"),
		{name: "51 bare LF", raw: strings.ReplaceAll(echo("1"), "\r\n", "\n"), status: []int{200}},
		refused("52 no Host", 400, strings.Replace(echo("1"), "Host: x\r\n", "", 1)),
		refused("52 two Hosts", 400, echo("1", "Host: y")),
		refused("52 malformed Host", 400, strings.Replace(echo("1"), "Host: x", "Host: a b", 1)),
		{name: "53 foreign Host", raw: strings.Replace(echo("1"), "Host: x", "Host: evil.example", 1), status: []int{200, 403, 421}},
		refused("54 CR in a request id", 400, echo("1", "X-Request-Id: a\rSet-Cookie: x")),
		with("55 X-Forwarded-For", "X-Forwarded-For: 127.0.0.1"),
		with("56 method override", "X-HTTP-Method-Override: GET"),
		{name: "57 Origin", raw: echo("1", "Origin: https://evil.example"), status: []int{200, 403}, check: func(t *testing.T, a answer) {
			if got := a.header.Get("Access-Control-Allow-Origin"); got == "*" {
				t.Error("answers any origin")
			}
		}},
	}
	cleaned := with("54 request id is cleaned", "X-Request-Id: a b<script>")
	cleaned.check = func(t *testing.T, a answer) {
		if id := a.header.Get("X-Request-Id"); !goodID.MatchString(id) {
			t.Errorf("echoes the request id %q", id)
		}
	}
	return append(rows, cleaned)
}

// framingRows are the quick ones of section C.
func (s *suite) framingRows() []row {
	plain := script(ScriptEcho, "1")
	lengths := func(name, headers, body string, kind string, status ...int) row {
		raw := "POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers + "\r\n\r\n" + body
		return row{name: name, raw: raw, status: status, kind: kind, within: 12 * time.Second}
	}
	one := fmt.Sprintf("Content-Length: %d", len(plain))
	chunked := "Transfer-Encoding: chunked"
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(plain), plain)
	const badKind = "invalid_request"
	rows := []row{
		lengths("59 announces 5 GB", "Content-Length: 5000000000", "", "too_large", 413),
		lengths("61 two lengths", one+"\r\nContent-Length: 3", plain, "", 400),
		lengths("62 two equal lengths", one+"\r\n"+one, plain, "", 200),
		lengths("63 length and chunked", one+"\r\n"+chunked, chunks+"\r\n", "", 200, 400),
		lengths("65 chunk size zz", chunked, "zz\r\n", badKind, 400),
		lengths("65 chunk size too long", chunked, "FFFFFFFFFFFFFFFFF\r\n", badKind, 400),
		lengths("65 chunk without end", chunked, "2\r\n{}x\r\n", badKind, 400),
		lengths("66 long chunk extension", chunked, "2;"+strings.Repeat("x", 1<<20)+"\r\n{}\r\n0\r\n\r\n", "", 400, 413),
		lengths("66 a million chunks", chunked, strings.Repeat("1\r\n \r\n", 1_000_000)+chunks+"\r\n", "", 400, 413, 200),
		lengths("67 trailers", chunked, chunks+"X-Script: x\r\nContent-Length: 4\r\n\r\n", "", 200, 400),
		lengths("67 many trailers", chunked, chunks+strings.Repeat("X-A: 1\r\n", 10_000)+"\r\n", "", 200, 400, 431),
		lengths("75 continue refused", "Expect: 100-continue\r\nContent-Length: 9000000", "", "too_large", 413),
		lengths("76 other expectation", "Expect: 200-ok\r\n"+one, plain, "", 417),
	}
	for i, bad := range []string{"-1", "+2", "0x10", "12345678901234567890", ""} {
		rows = append(rows, lengths(fmt.Sprintf("60 length %d", i), "Content-Length: "+bad, "{}", "", 400))
	}
	for _, te := range []string{"chunked, chunked", "gzip, chunked", "xchunked", "identity"} {
		rows = append(rows, lengths("64 "+te, "Transfer-Encoding: "+te, chunks+"\r\n", "", 501, 400))
	}
	longer := row{name: "69 longer than its length", raw: echo("1") + "TAIL\r\n\r\n", status: []int{200}, rest: true}
	longer.check = func(t *testing.T, a answer) {
		if strings.Contains(string(a.rest), "200 OK") {
			t.Errorf("the tail was answered: %q", a.rest)
		}
	}
	after413 := row{name: "78 pipelined after a 413", raw: post(script(padded(s.opts.Body), "1")) + echo("1"), status: []int{413}, kind: "too_large", rest: true}
	after413.check = longer.check
	split := row{name: "110 response splitting", raw: post(fmt.Sprintf(`{"script":%q,"stdin":"a\r\nSet-Cookie: x\u0000\u2028</script>"}`, ScriptStdin)), status: []int{200}}
	split.check = func(t *testing.T, a answer) {
		if a.header.Get("Set-Cookie") != "" {
			t.Error("stdout became a header")
		}
		contains("Set-Cookie: x")(t, a)
	}
	return append(rows, longer, after413, split)
}

// pathRows are section D: methods, paths, protocol.
func (s *suite) pathRows() []row {
	plain := script(ScriptEcho, "1")
	const json = "Content-Type: application/json"
	var rows []row
	for _, m := range []string{"GET", "PUT", "DELETE", "PATCH", "TRACE", "post"} {
		rows = append(rows, row{name: "84 " + m, raw: request(m, "/execute", "", json), status: []int{405}, kind: "method_not_allowed", check: func(t *testing.T, a answer) {
			if got := a.header.Get("Allow"); got != "POST" {
				t.Errorf("Allow: %q", got)
			}
		}})
	}
	for _, p := range []string{
		"/execute/", "/Execute", "/execute%00", "/execute;x", "/execute.json",
		"//execute", "/a/../execute", "/./execute", "/..%2f..%2fetc/passwd", "/static/../../x",
		"/debug/pprof", "/debug/vars",
	} {
		rows = append(rows, row{name: "89 " + p, raw: request("POST", p, plain, json), status: []int{404}, kind: "not_found"})
	}
	return append(rows,
		row{name: "85 HEAD /health", raw: request("HEAD", "/health", ""), status: []int{200}, rest: true, check: func(t *testing.T, a answer) {
			if len(a.rest) > 0 {
				t.Errorf("has the body %q", a.rest)
			}
		}},
		row{name: "86 POST /health", raw: request("POST", "/health", "{}", json), status: []int{405}, kind: "method_not_allowed"},
		row{name: "87 OPTIONS *", raw: request("OPTIONS", "*", ""), status: []int{200}},
		row{name: "88 CONNECT", raw: request("CONNECT", "host:80", ""), status: []int{404, 405}},
		row{name: "91 escaped letter", raw: request("POST", "/%65xecute", plain, json), status: []int{200, 404}},
		row{name: "93 malformed escape", raw: request("POST", "/%zz", plain, json), status: []int{400}},
		row{name: "94 script in the query", raw: request("POST", "/execute?script=def+main():return+1", "", json), status: []int{400}, kind: "invalid_request"},
		row{name: "95 absolute form", raw: request("POST", "http://evil/execute", plain, json), status: []int{200, 403, 421}},
		row{name: "97 HTTP/0.9", raw: "GET /health\r\n\r\n", status: []int{400, 505, closed}},
		row{name: "97 HTTP/9.9", raw: strings.Replace(echo("1"), "HTTP/1.1", "HTTP/9.9", 1), status: []int{400, 505}},
		row{name: "97 HTTP/2.0 in text", raw: strings.Replace(echo("1"), "HTTP/1.1", "HTTP/2.0", 1), status: []int{400, 505}},
		row{name: "98 HTTP/1.0 without Host", raw: strings.Replace(strings.Replace(echo("1"), "HTTP/1.1", "HTTP/1.0", 1), "Host: x\r\n", "", 1), status: []int{200}},
		row{name: "99 HTTP/2 preface", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: []int{400, 404, 405, 505, closed}},
		row{name: "100 Upgrade h2c", raw: echo("1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"), status: []int{200}},
		row{name: "100 Upgrade websocket", raw: echo("1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="), status: []int{200}},
		row{name: "104 TLS", raw: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x07", 500) + "\r\n\r\n", status: []int{400, closed}},
		row{name: "104 SSH", raw: "SSH-2.0-OpenSSH_9.2\r\n\r\n", status: []int{400, closed}},
		row{name: "104 noise", raw: noise(64 << 10), status: []int{400, 431, closed}, within: 8 * time.Second},
		row{name: "104 NULs", raw: strings.Repeat("\x00", 64<<10), status: []int{400, 431, closed}, within: 8 * time.Second},
		row{name: "105 leading CRLFs", raw: "\r\n\r\n" + echo("1"), status: []int{400, 200}},
	)
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// noise is bytes of a fixed generator, so that a failure can be repeated.
func noise(n int) string {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}
