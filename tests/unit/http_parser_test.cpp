#include "gateway/front/http_parser.hpp"

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using waggle::front::http_parser;
using waggle::front::limits;

namespace {

/// Small, so that the table can show what is past a limit, and every split of it can be tried.
limits small_limits() {
  limits out;
  out.header_bytes_max = 300;
  out.fields_max = 8;
  out.target_bytes_max = 100;
  out.body_bytes_max = 20;
  out.chunk_extension_bytes_max = 16;
  return out;
}

/// What a parser makes of the bytes so far, as one line: `GET /path?query{body}` for each request, the status of an
/// error, `...` for an unfinished request.
struct reader {
  explicit reader(const limits& bounds) : parser(bounds) {}

  void feed(std::string_view bytes) {
    parser.feed(bytes);
    for (;;) {
      const auto verdict = parser.next();
      if (verdict == http_parser::verdict::need_more) return;
      if (verdict == http_parser::verdict::error) {
        if (!std::exchange(failed, true)) add(std::to_string(parser.error().status));
        return;
      }
      const auto& in = parser.current();
      add(in.method);
      add(in.path);
      if (!in.query.empty()) seen.append("?").append(in.query);
      if (!in.body.empty()) seen.append("{").append(in.body).append("}");
    }
  }

  [[nodiscard]] std::string verdict() const {
    if (!failed && parser.where() != http_parser::stage::idle) return seen.empty() ? "..." : seen + " ...";
    return seen;
  }

  void add(std::string_view word) {
    if (!seen.empty()) seen += ' ';
    seen += word;
  }

  http_parser parser;
  std::string seen;
  bool failed = false;
};

std::string verdict_on(const limits& bounds, std::string_view bytes) {
  reader in(bounds);
  in.feed(bytes);
  return in.verdict();
}

struct sample {
  std::string_view about;
  std::string bytes;
  std::string_view verdict;
};

std::string get(std::string_view more_fields = "") {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(more_fields) + "\r\n";
}

std::string post(std::string_view fields, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }

std::string line(std::string_view request_line) { return std::string(request_line) + "\r\nHost: a\r\n\r\n"; }

std::string times(std::size_t count, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

const std::string nul(1, '\0');

std::vector<sample> samples() {
  return {
      // What must be let through.
      {"a plain request", get(), "GET /"},
      {"a path and a query", line("GET /a/b?c=d&e HTTP/1.1"), "GET /a/b?c=d&e"},
      {"a second question mark is part of the query", line("GET /a?b?c HTTP/1.1"), "GET /a?b?c"},
      {"an empty query", line("GET /a? HTTP/1.1"), "GET /a"},
      {"percent-encoding is left alone", line("GET /a%2Fb%00%2e%2e HTTP/1.1"), "GET /a%2Fb%00%2e%2e"},
      {"dots and double slashes are left alone", line("GET //a/../b HTTP/1.1"), "GET //a/../b"},
      {"sub-delimiters in the path", line("GET /a;b=c,d(e)'*!$@: HTTP/1.1"), "GET /a;b=c,d(e)'*!$@:"},
      {"any token is a method", line("M-SEARCH! /a HTTP/1.1"), "M-SEARCH! /a"},
      {"a method in lower case is another method", line("get / HTTP/1.1"), "get /"},
      {"two pipelined requests", get() + get(), "GET / GET /"},
      {"a body, then a request", post("Content-Length: 5\r\n", "hello") + get(), "POST /{hello} GET /"},
      {"a body that looks like a request", post("Content-Length: 18\r\n", "GET / HTTP/1.1\r\n\r\n"),
       "POST /{GET / HTTP/1.1\r\n\r\n}"},
      {"a length of zero", post("Content-Length: 0\r\n", "") + get(), "POST / GET /"},
      {"no length is no body", post("", "") + get(), "POST / GET /"},
      {"a GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "GET /{hi}"},
      {"a body of exactly the limit", post("Content-Length: 20\r\n", times(20, "x")), "POST /{xxxxxxxxxxxxxxxxxxxx}"},
      {"leading zeros of a length", post("Content-Length: 0005\r\n", "hello"), "POST /{hello}"},
      {"the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "POST /{hello}"},
      {"field names in any case", post("cOnTeNt-LeNgTh: 5\r\n", "hello"), "POST /{hello}"},
      {"white space around a value", post("Content-Length:  \t5 \t\r\n", "hello"), "POST /{hello}"},
      {"no white space before a value", post("Content-Length:5\r\n", "hello"), "POST /{hello}"},
      {"an empty value", get("X-Empty:\r\n"), "GET /"},
      {"a value with a tab inside", get("X-A: b\tc\r\n"), "GET /"},
      {"a value with bytes above 127", get("X-A: \xc3\xa9\r\n"), "GET /"},
      {"every token character in a name", get("!#$%&'*+-.^_`|~09azAZ: b\r\n"), "GET /"},
      {"one blank line before the request", "\r\n" + get(), "GET /"},
      {"one blank line after a body", post("Content-Length: 1\r\n", "x") + "\r\n" + get(), "POST /{x} GET /"},
      {"HTTP/1.0 without a Host", "GET / HTTP/1.0\r\n\r\n", "GET /"},
      {"HTTP/1.0 with a Host", line("GET / HTTP/1.0"), "GET /"},
      {"HTTP/1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "POST /{hi}"},
      {"a Host with a port", "GET / HTTP/1.1\r\nHost: a.example:8800\r\n\r\n", "GET /"},
      {"a Host that is an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /"},
      {"the absolute form", line("GET http://a.example/b?c HTTP/1.1"), "GET /b?c"},
      {"the absolute form of https in capitals", line("GET HTTPS://a.example/b HTTP/1.1"), "GET /b"},
      {"the absolute form without a path", line("GET http://a.example HTTP/1.1"), "GET /"},
      {"the absolute form with a query and no path", line("GET http://a.example?b HTTP/1.1"), "GET /?b"},
      {"OPTIONS of the server", line("OPTIONS * HTTP/1.1"), "OPTIONS *"},
      {"OPTIONS of the server in absolute form", line("OPTIONS http://a HTTP/1.1"), "OPTIONS *"},
      {"chunks", chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") + get(), "POST /{abcde} GET /"},
      {"no chunks", chunked("0\r\n\r\n") + get(), "POST / GET /"},
      {"chunk sizes in either case", chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
       "POST /{01234567890123456789}"},
      {"zeros before a chunk size", chunked("0003\r\nabc\r\n000\r\n\r\n"), "POST /{abc}"},
      {"a chunk that holds line ends", chunked("6\r\n\r\n0\r\n\n\r\n0\r\n\r\n"), "POST /{\r\n0\r\n\n}"},
      {"chunk extensions are ignored", chunked("3;a=b;c\r\nabc\r\n0;d=\"e\"\r\n\r\n"), "POST /{abc}"},
      {"trailers are dropped", chunked("1\r\na\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n") + get(),
       "POST /{a} GET /"},
      {"the coding's name in capitals", post("Transfer-Encoding: CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n"), "POST /{a}"},
      {"Expect: 100-continue", post("Expect: 100-Continue\r\nContent-Length: 1\r\n", "x"), "POST /{x}"},
      {"HTTP/1.0 expects nothing", "GET / HTTP/1.0\r\nExpect: cake\r\n\r\n", "GET /"},
      {"an upgrade that is not taken", get("Upgrade: h2c\r\nConnection: Upgrade\r\n"), "GET /"},
      {"a target of exactly the limit", line("GET /" + times(99, "a") + " HTTP/1.1"),
       "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
      {"fields of exactly the limit", get(times(7, "A: b\r\n")), "GET /"},

      // What is not yet there.
      {"nothing", "", ""},
      {"half a request line", "GET / HT", "..."},
      {"a head without its last line", "GET / HTTP/1.1\r\nHost: a\r\n", "..."},
      {"half a body", post("Content-Length: 5\r\n", "he"), "..."},
      {"a chunked body without its end", chunked("3\r\nabc\r\n"), "..."},
      {"a chunked body without its last line end", chunked("0\r\n"), "..."},
      {"a blank line only", "\r\n", "..."},
      {"a request, then half of one", get() + "GE", "GET / ..."},

      // The request line.
      {"two blank lines", "\r\n\r\n" + get(), "400"},
      {"a bare line feed before the request", "\n" + get(), "400"},
      {"a bare line feed after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
      {"a bare carriage return in the request line", "GET /\rHTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"two carriage returns", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400"},
      {"NUL in the target", "GET /" + nul + " HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"a tab in the request line", line("GET\t/ HTTP/1.1"), "400"},
      {"a form feed in the request line", line("GET /\f HTTP/1.1"), "400"},
      {"DEL in the target", line("GET /\x7f HTTP/1.1"), "400"},
      {"a byte above 127 in the target", line("GET /\xc3\xa9 HTTP/1.1"), "400"},
      {"a space before the method", line(" GET / HTTP/1.1"), "400"},
      {"two spaces before the target", line("GET  / HTTP/1.1"), "400"},
      {"two spaces before the version", line("GET /  HTTP/1.1"), "400"},
      {"a space after the version", line("GET / HTTP/1.1 "), "400"},
      {"a space in the target", line("GET /a b HTTP/1.1"), "400"},
      {"a method that is not a token", line("GE(T / HTTP/1.1"), "400"},
      {"a method with a colon", line("GET: / HTTP/1.1"), "400"},
      {"only a method", line("GET"), "400"},
      {"no version, as in HTTP/0.9", "GET /\r\n", "400"},
      {"no target", line("GET HTTP/1.1"), "400"},
      {"a field instead of a request line", "Host: a\r\n\r\n", "400"},
      {"a fragment", line("GET /a#b HTTP/1.1"), "400"},
      {"a backslash", line("GET /a\\b HTTP/1.1"), "400"},
      {"a target that is no path", line("GET a HTTP/1.1"), "400"},
      {"a target that begins with a query", line("GET ?a HTTP/1.1"), "400"},
      {"* for another method", line("GET * HTTP/1.1"), "400"},
      {"** for OPTIONS", line("OPTIONS ** HTTP/1.1"), "400"},
      {"the authority form for another method", line("GET a.example:80 HTTP/1.1"), "400"},
      {"CONNECT", line("CONNECT a.example:443 HTTP/1.1"), "501"},
      {"CONNECT of a path", line("CONNECT / HTTP/1.1"), "501"},
      {"another scheme", line("GET ftp://a/b HTTP/1.1"), "400"},
      {"a scheme without a host", line("GET http:///b HTTP/1.1"), "400"},
      {"a scheme with one slash", line("GET http:/b HTTP/1.1"), "400"},
      {"user information in the absolute form", line("GET http://u:p@a/b HTTP/1.1"), "400"},
      {"HTTP/0.9", line("GET / HTTP/0.9"), "505"},
      {"HTTP/1.2", line("GET / HTTP/1.2"), "505"},
      {"HTTP/2.0", line("GET / HTTP/2.0"), "505"},
      {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
      {"HTTP/1", line("GET / HTTP/1"), "505"},
      {"HTTP/1.", line("GET / HTTP/1."), "505"},
      {"HTTP/1.10", line("GET / HTTP/1.10"), "505"},
      {"HTTP/01.1", line("GET / HTTP/01.1"), "505"},
      {"HTTP/+1.1", line("GET / HTTP/+1.1"), "505"},
      {"http/1.1 in lower case", line("GET / http/1.1"), "505"},
      {"another protocol's name", line("GET / ICY/1.1"), "505"},
      {"a TLS greeting", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 13), "400"},
      {"a target past the limit", line("GET /" + times(100, "a") + " HTTP/1.1"), "414"},
      {"a target past the limit without an end", "GET /" + times(200, "a"), "414"},
      {"a method without an end", times(200, "A"), "414"},

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

      // Where the body ends.
      {"+5", post("Content-Length: +5\r\n", "hello"), "400"},
      {"-5", post("Content-Length: -5\r\n", "hello"), "400"},
      {"5abc", post("Content-Length: 5abc\r\n", "hello"), "400"},
      {"0x5", post("Content-Length: 0x5\r\n", "hello"), "400"},
      {"5.0", post("Content-Length: 5.0\r\n", "hello"), "400"},
      {"5 5", post("Content-Length: 5 5\r\n", "hello"), "400"},
      {"5, 5 in one field", post("Content-Length: 5, 5\r\n", "hello"), "400"},
      {"an empty length", post("Content-Length:\r\n", "hello"), "400"},
      {"a quoted length", post("Content-Length: \"5\"\r\n", "hello"), "400"},
      {"a vertical tab before a length", post("Content-Length: \v5\r\n", "hello"), "400"},
      {"two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400"},
      {"two ways to write a length", post("Content-Length: 5\r\nContent-Length: 05\r\n", "hello"), "400"},
      {"a length past the limit", post("Content-Length: 21\r\n", ""), "413"},
      {"a length past the limit, with its body", post("Content-Length: 21\r\n", times(21, "x")), "413"},
      {"2^64 as a length", post("Content-Length: 18446744073709551616\r\n", ""), "413"},
      {"2^64 + 5 as a length", post("Content-Length: 18446744073709551621\r\n", "hello"), "413"},
      {"a length of a hundred digits", post("Content-Length: " + times(100, "9") + "\r\n", ""), "413"},
      {"a length, then a coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
      {"a coding, then a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "400"},
      {"an unknown coding and a length", post("Transfer-Encoding: x\r\nContent-Length: 5\r\n", "hello"), "400"},
      {"half a coding's name", post("Transfer-Encoding: ch\r\n", "0\r\n\r\n"), "501"},
      {"chunked twice in one field", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "501"},
      {"chunked twice in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       "501"},
      {"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"},
      {"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), "501"},
      {"identity, then chunked", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       "501"},
      {"chunked, then identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
       "501"},
      {"an empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), "501"},
      {"a coding with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), "501"},
      {"a coding in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "501"},
      {"a coding after a vertical tab", post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), "400"},
      {"a coding after a comma", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), "501"},
      {"a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"an unknown expectation", post("Expect: cake\r\nContent-Length: 1\r\n", "x"), "417"},

      // Chunks.
      {"a chunk size that is no number", chunked("x\r\n"), "400"},
      {"an empty chunk size", chunked("\r\n"), "400"},
      {"a chunk size with a sign", chunked("+3\r\nabc\r\n0\r\n\r\n"), "400"},
      {"a negative chunk size", chunked("-3\r\nabc\r\n0\r\n\r\n"), "400"},
      {"a chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), "400"},
      {"a space before a chunk size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), "400"},
      {"a space after a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n"), "400"},
      {"a space before an extension", chunked("3 ;a\r\nabc\r\n0\r\n\r\n"), "400"},
      {"an underscore in a chunk size", chunked("1_0\r\n"), "400"},
      {"a chunk size of 17 digits", chunked("00000000000000001\r\na\r\n0\r\n\r\n"), "400"},
      {"a chunk size that would wrap around", chunked("ffffffffffffffff\r\n"), "413"},
      {"a chunk size of 2^64 + 1", chunked("10000000000000001\r\n"), "400"},
      {"a chunk past the limit", chunked("15\r\n"), "413"},
      {"chunks past the limit together", chunked("a\r\n0123456789\r\nb\r\n"), "413"},
      {"a bare line feed after a chunk size", chunked("3\nabc\r\n0\r\n\r\n"), "400"},
      {"a bare carriage return after a chunk size", chunked("3\rabc\r\n0\r\n\r\n"), "400"},
      {"a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), "400"},
      {"a chunk shorter than its size", chunked("3\r\nab\r\n0\r\n\r\n"), "400"},
      {"a chunk that ends in a bare line feed", chunked("3\r\nabc\n0\r\n\r\n"), "400"},
      {"a chunk that ends in a bare carriage return", chunked("3\r\nabc\r0\r\n\r\n"), "400"},
      {"extensions past the limit", chunked("3;" + times(16, "a") + "\r\nabc\r\n0\r\n\r\n"), "400"},
      {"extensions past the limit together", chunked(times(3, "1;aaaaa\r\nx\r\n") + "0\r\n\r\n"), "400"},
      {"an extension without an end", chunked("3;" + times(100, "a")), "400"},
      {"a bare line feed in an extension", chunked("3;a\nabc\r\n0\r\n\r\n"), "400"},
      {"NUL in an extension", chunked("3;" + nul + "\r\nabc\r\n0\r\n\r\n"), "400"},
      {"a trailer without a colon", chunked("0\r\nX\r\n\r\n"), "400"},
      {"a folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n"), "400"},
      {"a request instead of trailers", chunked("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "400"},
      {"a bare line feed after the trailers", chunked("0\r\nX: a\r\n\n"), "400"},
      {"too many trailers", chunked("0\r\n" + times(9, "A: b\r\n") + "\r\n"), "431"},
      {"trailers past the limit", chunked("0\r\nA: " + times(400, "b")), "431"},

      // Errors behind something sound.
      {"an error in a second request", get() + get("X : b\r\n"), "GET / 400"},
      {"a body with junk behind it", post("Content-Length: 2\r\n", "hi!") + "\r\n", "POST /{hi} 400"},
      {"a chunked body with junk behind it", chunked("0\r\n\r\nX\r\n"), "POST / 400"},
  };
}

const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

bool ends_in_error(std::string_view verdict) {
  const std::string_view last = verdict.substr(verdict.rfind(' ') + 1);
  return last.size() == 3 && (last[0] == '4' || last[0] == '5');
}

}  // namespace

TEST_CASE("http: each odd or hostile request gets the verdict in the table", "[http]") {
  const limits bounds = small_limits();
  for (const sample& one : samples()) {
    INFO(one.about);
    CHECK(verdict_on(bounds, one.bytes) == one.verdict);
  }
}

TEST_CASE("http: the verdict does not depend on how the bytes were split", "[http]") {
  const limits bounds = small_limits();
  for (const sample& one : samples()) {
    INFO(one.about);
    reader by_bytes(bounds);
    for (const char c : one.bytes) by_bytes.feed({&c, 1});
    CHECK(by_bytes.verdict() == one.verdict);
    for (std::size_t at = 0; at <= one.bytes.size(); ++at) {
      reader split(bounds);
      split.feed(std::string_view(one.bytes).substr(0, at));
      split.feed(std::string_view(one.bytes).substr(at));
      if (split.verdict() == one.verdict) continue;
      FAIL_CHECK("split at " << at << ": " << split.verdict());
    }
  }
}

TEST_CASE("http: nothing behind a framing error is read as a request", "[http]") {
  const limits bounds = small_limits();
  for (const sample& one : samples()) {
    if (!ends_in_error(one.verdict)) continue;
    INFO(one.about);
    CHECK(verdict_on(bounds, one.bytes + smuggled) == one.verdict);
    reader later(bounds);
    later.feed(one.bytes);
    later.feed(smuggled);
    later.feed("\r\n\r\n" + smuggled);
    CHECK(later.verdict() == one.verdict);
  }
}

TEST_CASE("http: damaged requests get one verdict however they are split", "[http]") {
  const limits bounds = small_limits();
  const std::vector<sample> all = samples();
  const std::string odd = std::string("\r\n \t:;,+-0159afxAF/*?#") + nul + "\x7f\xff";
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = all[below(all.size())].bytes + all[below(all.size())].bytes;
    for (std::size_t i = 0; i <= below(4) && !bytes.empty(); ++i) {
      const std::size_t at = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes.erase(at, 1 + below(3));
          break;
        case 1:
          bytes.insert(at, 1, odd[below(odd.size())]);
          break;
        default:
          bytes[at] = odd[below(odd.size())];
          break;
      }
    }
    const std::string whole = verdict_on(bounds, bytes);
    reader split(bounds);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = 1 + below(1 + below(60));
      split.feed(std::string_view(bytes).substr(at, size));
      at += size;
    }
    if (split.verdict() != whole) FAIL_CHECK(whole << " became " << split.verdict() << " of " << bytes);
    if (ends_in_error(whole) && verdict_on(bounds, bytes + smuggled) != whole) FAIL_CHECK("read on after: " << bytes);
  }
}

TEST_CASE("http: a chunk split between CR and LF is read once", "[http]") {
  const limits bounds = small_limits();
  reader in(bounds);
  in.feed(chunked("3\r\nabc\r"));
  CHECK(in.verdict() == "...");
  in.feed("\n0\r\n\r\n");
  CHECK(in.verdict() == "POST /{abc}");
}

TEST_CASE("http: the default limits are those of the documentation", "[http]") {
  const limits bounds;
  const auto path = [](std::size_t size) { return line("GET /" + times(size - 1, "a") + " HTTP/1.1"); };
  CHECK(verdict_on(bounds, path(8 * 1024)).size() == 4 + 8 * 1024);
  CHECK(verdict_on(bounds, path(8 * 1024 + 1)) == "414");
  const auto head = [](std::size_t size) {
    const std::string rest = get("X: \r\n");
    return get("X: " + times(size - rest.size(), "b") + "\r\n");
  };
  CHECK(verdict_on(bounds, head(16 * 1024)) == "GET /");
  CHECK(verdict_on(bounds, head(16 * 1024 + 1)) == "431");
  CHECK(verdict_on(bounds, get(times(99, "A: b\r\n"))) == "GET /");
  CHECK(verdict_on(bounds, get(times(100, "A: b\r\n"))) == "431");
  CHECK(verdict_on(bounds, post("Content-Length: 1048576\r\n", "")) == "...");
  CHECK(verdict_on(bounds, post("Content-Length: 1048577\r\n", "")) == "413");
}

TEST_CASE("http: the host of an absolute target is the one that is seen", "[http]") {
  const limits bounds;
  http_parser parser(bounds);
  parser.feed("GET http://inner.example/a HTTP/1.1\r\nX: y\r\nHost: outer.example\r\n\r\n");
  REQUIRE(parser.next() == http_parser::verdict::request);
  CHECK(parser.current().find("HOST") == "inner.example");
  CHECK(parser.current().find("x") == "y");
  CHECK_FALSE(parser.current().find("y"));
}

TEST_CASE("http: a body in chunks of one byte arrives whole", "[http]") {
  const limits bounds;
  reader in(bounds);
  in.feed(post("Transfer-Encoding: chunked\r\n", ""));
  std::string sent;
  for (int i = 0; i < 100'000; ++i) {
    const char c = static_cast<char>('a' + i % 26);
    sent += c;
    in.feed(std::string("1\r\n") + c + "\r\n");
  }
  in.feed("0\r\n\r\n");
  CHECK((in.verdict() == "POST /{" + sent + "}"));
}

TEST_CASE("http: thousands of pipelined requests are cut apart whatever the size of the reads", "[http]") {
  const limits bounds;
  const std::string all = times(3'000, get() + post("Content-Length: 5\r\n", "hello"));
  const std::string expected = times(2'999, "GET / POST /{hello} ") + "GET / POST /{hello}";
  for (const std::size_t read_size : {1UL, 7UL, 1'000UL, 65'536UL}) {
    reader in(bounds);
    for (std::size_t at = 0; at < all.size(); at += read_size) in.feed(std::string_view(all).substr(at, read_size));
    CHECK((in.verdict() == expected));
  }
}
