#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/front/limits.hpp"

/// Odd and hostile requests, each with its verdict, from RFC 9110 and 9112 and from what is known of attacks on readers that
/// disagree. They are of our own writing.
namespace http_table {

struct sample {
  std::string about;
  std::string bytes;
  /// What a parser makes of the bytes, as one line: `GET /path?query{body}` for each request, the status of an error,
  /// `...` for an unfinished request.
  std::string verdict;
};
using samples = std::vector<sample>;

/// Small, so that the table can show what is past a limit, and every split of it can be tried.
waggle::front::limits small_limits();

samples accepted();    // what must be let through, and what is not yet there
samples lines();       // request lines and targets
samples fields();      // header fields and hosts
samples bodies();      // where a body ends
samples chunks();      // chunked bodies
samples strangers();   // other protocols, and noise
samples all();

inline std::string get(std::string_view more_fields = "") {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(more_fields) + "\r\n";
}
inline std::string post(std::string_view fields, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n" + std::string(body);
}
inline std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }
inline std::string line(std::string_view request_line) { return std::string(request_line) + "\r\nHost: a\r\n\r\n"; }
inline std::string target(std::string_view of) { return line("GET " + std::string(of) + " HTTP/1.1"); }
inline std::string host(std::string_view value) { return "GET / HTTP/1.1\r\nHost: " + std::string(value) + "\r\n\r\n"; }
inline std::string length(std::string_view value, std::string_view body = "hello") {
  return post("Content-Length: " + std::string(value) + "\r\n", body);
}
inline std::string coding(std::string_view value) {
  return post("Transfer-Encoding: " + std::string(value) + "\r\n", "0\r\n\r\n");
}
inline std::string times(std::size_t count, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}
/// A byte as the name of a sample has it.
inline std::string hex(unsigned char byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  return std::string("0x") + digits[byte >> 4] + digits[byte & 15];
}

inline const std::string nul(1, '\0');
inline const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace http_table
