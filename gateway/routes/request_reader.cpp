#include "gateway/routes/request_reader.hpp"

#include <algorithm>

#include <waggle/wire/error.hpp>
#include <waggle/wire/json.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/body.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {

using part = source::part;

void request_needs::add(const source& from) {
  query = query || from.from == part::query;
  body = body || from.from == part::body;
  cookies = cookies || from.from == part::cookie;
}

void request_needs::add(const request_needs& other) {
  query = query || other.query;
  body = body || other.body;
  cookies = cookies || other.cookies;
}

request_reader::request_reader(const front::request& in, const decoded_path& path, std::string_view claims, request_needs needs)
    : in_{in}, path_{path}, claims_{claims}, query_{needs.query ? in.query : std::string_view{}} {
  if (query_.why() != nullptr) {
    refused_ = refusal(400, std::string{"the query cannot be read: "} + query_.why());
  } else if (!in.body.empty() && needs.body) {
    refused_ = read_body();
  }
  if (needs.cookies) read_cookies();
}

/// The body as msgpack that keeps the rules, or the answer to one that does not.
std::optional<front::response> request_reader::read_body() {
  if (const auto coding = in_.find("content-encoding"); coding && !front::syntax::equal_without_case(*coding, "identity")) {
    return refusal(415, "a body comes as it is; leave Content-Encoding away");
  }
  switch (body_format_of(in_.find("content-type"))) {
    case body_format::json: {
      auto bytes = wire::json_to_msgpack(in_.body);
      if (!bytes) return problem_of({status::invalid_argument, "the body is " + bytes.error().message});
      body_ = std::move(*bytes);
      return std::nullopt;
    }
    case body_format::msgpack: {
      std::size_t offset = 0;
      if (const char* why = wrong_with_msgpack(in_.body, offset)) {
        return problem_of(
            {status::invalid_argument, "the body is not acceptable msgpack at byte " + std::to_string(offset) + ": " + why});
      }
      body_ = in_.body;
      return std::nullopt;
    }
    case body_format::other: break;
  }
  auto out = refusal(415, "a body is application/json or application/vnd.msgpack; say which in Content-Type");
  out.headers.emplace_back("Accept", "application/json, application/vnd.msgpack, application/msgpack");
  return out;
}

/// RFC 6265, section 4.2.1. Values are taken as they are, but for quotes around them.
void request_reader::read_cookies() {
  for (const auto& [name, value] : in_.headers) {
    if (!front::syntax::equal_without_case(name, "cookie")) continue;
    for (std::string_view left = value; !left.empty();) {
      const auto pair = front::syntax::trim(left.substr(0, left.find(';')));
      left.remove_prefix(std::min(left.find(';'), left.size() - 1) + 1);
      const auto equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      auto text = front::syntax::trim(pair.substr(equals + 1));
      if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
      cookies_.emplace_back(front::syntax::trim(pair.substr(0, equals)), text);
    }
  }
}

void request_reader::find(const source& from, std::size_t segment, std::vector<std::string_view>& out) const {
  switch (from.from) {
    case part::path: out.push_back(path_[segment]); break;
    case part::query: query_.find(from.name, out); break;
    case part::header:
      for (const auto& [name, value] : in_.headers) {
        if (front::syntax::equal_without_case(name, from.name)) out.push_back(value);
      }
      break;
    case part::cookie:
      for (const auto& [name, value] : cookies_) {
        if (name == from.name) out.push_back(value);
      }
      break;
    case part::env: out.push_back(from.text); break;
    case part::body:
    case part::claim:
    case part::step:
    case part::error: break;
  }
}

std::optional<std::string_view> request_reader::find(const source& from) const {
  if (from.from == part::body) {
    return body_ ? find_in(*body_, from.steps) : std::nullopt;
  }
  if (from.from != part::claim || claims_.empty()) return std::nullopt;
  std::vector<std::string> steps{from.name};
  steps.insert(steps.end(), from.steps.begin(), from.steps.end());
  return find_in(claims_, steps);
}

}  // namespace waggle::gateway
