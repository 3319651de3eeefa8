#include "http_table.hpp"

namespace http_table {

samples fields() {
  samples out = {
      // Fields.
      {"a space before the colon", get("X-A : b\r\n"), "400"},
      {"a tab before the colon", get("X-A\t: b\r\n"), "400"},
      {"a space before the colon of Content-Length", post("Content-Length : 5\r\n", "hello"), "400"},
      {"a space before the colon of Transfer-Encoding", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), "400"},
      {"a folded field", get("X-A: b\r\n c\r\n"), "400"},
      {"a field folded with a tab", get("X-A: b\r\n\tc\r\n"), "400"},
      {"a folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
      {"a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), "400"},
      {"a line of white space", get(" \r\n"), "400"},
      {"a field without a colon", get("X-A\r\n"), "400"},
      {"a field without a name", get(": b\r\n"), "400"},
      {"a space in a field's name", get("X A: b\r\n"), "400"},
      {"NUL in a field's name", get("X" + nul + ": b\r\n"), "400"},
      {"a byte above 127 in a field's name", get("X\xc3\xa9: b\r\n"), "400"},
      {"a slash in a field's name", get("X/A: b\r\n"), "400"},
      {"NUL in a value", get("X-A: b" + nul + "c\r\n"), "400"},
      {"a bare carriage return in a value", get("X-A: b\rc\r\n"), "400"},
      {"a bare carriage return hiding a length", post("X-A: b\rContent-Length: 5\r\n", ""), "400"},
      {"a bare line feed in a value", get("X-A: b\nX-B: c\r\n"), "400"},
      {"a bare line feed that ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400"},
      {"a backspace in a value", get("X-A: \b\r\n"), "400"},
      {"DEL in a value", get("X-A: \x7f\r\n"), "400"},
      {"too many fields", get(times(8, "A: b\r\n")), "431"},
      {"a field past the limit", get("X-A: " + times(300, "b") + "\r\n"), "431"},
      {"a field past the limit without an end", "GET / HTTP/1.1\r\nX-A: " + times(400, "b"), "431"},
      {"many short fields past the limit", get(times(7, "A: " + times(50, "b") + "\r\n")), "431"},

      // Host.
      {"no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"no Host in absolute form", "GET http://a/ HTTP/1.1\r\n\r\n", "400"},
      {"two Hosts", get("Host: b\r\n"), "400"},
      {"the same Host twice", get("host: a\r\n"), "400"},
      {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"},
      {"a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
      {"a Host with user information", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"},
      {"a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
      {"a Host with a port that is no number", host("a:b"), "400"},
      {"a Host with a port past 65535", host("a:65536"), "400"},
      {"a Host with a port of many digits", host("a:" + times(30, "0") + "80"), "400"},
      {"a Host with a negative port", host("a:-80"), "400"},
      {"a Host with two ports", host("a:80:81"), "400"},
      {"a Host of only a port", host(":80"), "400"},
      {"a Host of only a colon", host(":"), "400"},
      {"a Host that is a URI", host("http://a"), "400"},
      {"a Host with a query", host("a?b"), "400"},
      {"a Host with a fragment", host("a#b"), "400"},
      {"a Host with a backslash", host("a\\b"), "400"},
      {"a Host with user information and a port", host("u:p@a:80"), "400"},
      {"a Host in quotes", host("\"a\""), "400"},
      {"a Host in angle brackets", host("<a>"), "400"},
      {"a Host with a tab inside", host("a\tb"), "400"},
      {"a Host with NUL", host("a" + nul + "b"), "400"},
      {"a Host with a byte above 127", host("\xc3\xa9.example"), "400"},
      {"a Host with full-width dots", host("a\xef\xbc\x8e" "b"), "400"},
      {"a Host with a bad escape", host("a%2"), "400"},
      {"a Host with an escape of no hexadecimal digits", host("a%zz"), "400"},
      {"an IPv6 address without brackets", host("::1"), "400"},
      {"an IPv6 address without its end", host("[::1"), "400"},
      {"an IPv6 address without its beginning", host("::1]"), "400"},
      {"an empty address", host("[]"), "400"},
      {"an address in an address", host("[[::1]]"), "400"},
      {"an address with a name behind it", host("[::1]a"), "400"},
      {"an address with a name before it", host("a[::1]"), "400"},
      {"an address that is none", host("[a.example]"), "400"},
      {"an address with a scope", host("[fe80::1%25eth0]"), "400"},
      {"an address with a port inside", host("[::1]:8x"), "400"},
      {"a folded Host", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", "400"},
      {"a folded second Host", get("X: b\r\n\tHost: b\r\n"), "400"},
      {"Host with a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
      {"Host and a Host with a space before the colon", get("Host : b\r\n"), "400"},
      {"a Host behind a bare carriage return", get("X: b\rHost: b\r\n"), "400"},
      {"an empty second Host", get("Host:\r\n"), "400"},
      {"three Hosts", get("Host: a\r\nHost: a\r\n"), "400"},
      {"a second Host in absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"a malformed Host in absolute form", "GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", "400"},
      {"a malformed Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", "400"},
      {"a Host that is only a look-alike", "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", "400"},
      {"a Host in the trailers only", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a\r\n\r\n", "400"},

      {"a fold to nothing", get("X-A: b\r\n \r\n"), "400"},
      {"a fold behind Content-Length", post("Content-Length: 5\r\n 0\r\n", "hello"), "400"},
      {"a fold that adds a coding", post("Transfer-Encoding: gzip,\r\n chunked\r\n", "0\r\n\r\n"), "400"},
      {"a fold after the request line", "GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "400"},
      {"a fold by a vertical tab", get("X-A: b\r\n\vc: d\r\n"), "400"},
      {"a request line among the fields", get("GET /smuggled HTTP/1.1\r\n"), "400"},
      {"a request line with a colon among the fields", get("GET http://a/ HTTP/1.1\r\n"), "400"},
      {"only a colon", get(":\r\n"), "400"},
      {"a pseudo-header of HTTP/2", get(":path: /b\r\n"), "400"},
      {"a space before a name", get(" X-A: b\r\n"), "400"},
      {"a tab before a name", get("\tX-A: b\r\n"), "400"},
      {"a no-break space before the colon", get("X-A\xc2\xa0: b\r\n"), "400"},
      {"a vertical tab before the colon", get("X-A\v: b\r\n"), "400"},
      {"a name in quotes", get("\"X-A\": b\r\n"), "400"},
      {"a full-width colon", get("X-A\xef\xbc\x9a b\r\n"), "400"},
      {"an equals sign for a colon", get("X-A= b\r\n"), "400"},
      {"a name that ends in a carriage return", get("X-A\r: b\r\n"), "400"},
      {"a name split over lines", get("X-\r\nA: b\r\n"), "400"},
      {"a line feed before the colon", get("X-A\n: b\r\n"), "400"},
      {"a value that ends in a bare line feed", get("X-A: b\n"), "400"},
      {"a value that ends in two carriage returns", get("X-A: b\r\r\n"), "400"},
      {"a bare carriage return at the beginning of a value", get("X-A: \rb\r\n"), "400"},
      {"a bare carriage return alone in a value", get("X-A: \r \r\n"), "400"},
      {"a head that ends in two carriage returns", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "400"},
      {"a head that ends in carriage returns", "GET / HTTP/1.1\r\nHost: a\r\r", "..."},
      {"a bare line feed before the first field", "GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", "400"},
      {"an escape sequence in a value", get("X-A: \x1b[2J\r\n"), "400"},
      {"a NUL at the end of a value", get("X-A: b" + nul + "\r\n"), "400"},
      {"a NUL between fields", get(nul + "\r\n"), "400"},
      {"an unknown expectation beside a known one", post("Expect: 100-continue, cake\r\nContent-Length: 1\r\n", "x"), "417"},
      {"a second expectation that is unknown", post("Expect: 100-continue\r\nExpect: cake\r\nContent-Length: 1\r\n", "x"), "417"},
      {"an empty expectation", post("Expect:\r\nContent-Length: 1\r\n", "x"), "417"},
      {"an expectation with a parameter", post("Expect: 100-continue;a=b\r\nContent-Length: 1\r\n", "x"), "417"},
      {"an expectation with a value", post("Expect: 100-continue=1\r\nContent-Length: 1\r\n", "x"), "417"},
      {"twenty empty fields", get(times(20, "A:\r\n")), "431"},
      {"a name past the limit", get(times(300, "A") + ": b\r\n"), "431"},
      {"a name without an end", "GET / HTTP/1.1\r\n" + times(400, "A"), "431"},
      {"white space past the limit", get("X-A: " + times(300, " ") + "b\r\n"), "431"},
      {"a fold without an end", "GET / HTTP/1.1\r\n" + times(400, " "), "431"},
      {"a malformed field within the limit before one past it", get("X : b\r\nX-A: " + times(300, "b") + "\r\n"), "400"},
  };
  for (int byte = 0; byte < 256; ++byte) {
    const auto c = static_cast<unsigned char>(byte);
    const std::string text(1, static_cast<char>(c));
    if ((c < 0x20 && c != '\t' && c != '\r' && c != 0) || c == 0x7f) {
      out.push_back({"the byte " + hex(c) + " in a value", get("X-A: b" + text + "c\r\n"), "400"});
    }
    if (c < 0x20 || c >= 0x7f) {
      if (c > 0x80 && c < 0xfe) continue;
      out.push_back({"the byte " + hex(c) + " in a name", get("X" + text + "A: b\r\n"), "400"});
    }
    if (std::string_view("\"(),;<=>?@[\\]{}").find(text) != std::string_view::npos) {
      out.push_back({"the delimiter '" + text + "' in a name", get("X" + text + "A: b\r\n"), "400"});
      out.push_back({"the delimiter '" + text + "' before the colon", get("XA" + text + ": b\r\n"), "400"});
    }
  }
  return out;
}

}  // namespace http_table
