#include "gateway/routes/problems.hpp"

#include <string>

#include <waggle/wire/json_string.hpp>

#include "gateway/front/reason_phrase.hpp"

namespace waggle::gateway {
namespace {

front::response begin(int http_status, std::string_view detail) {
  front::response out;
  out.status = http_status;
  out.content_type = "application/problem+json";
  out.body = "{\"type\":\"about:blank\",\"title\":";
  wire::append_json_string(out.body, front::reason_phrase(http_status));
  out.body += ",\"status\":" + std::to_string(http_status) + ",\"detail\":";
  wire::append_json_string(out.body, detail);
  return out;
}

}  // namespace

front::response problem_of(const error& from, std::string_view members, int http_status) {
  const int http = http_status != 0 ? http_status : info(from.code).http;
  auto out = begin(http < 400 ? 500 : http, from.message);
  out.body += ",\"code\":";
  wire::append_json_string(out.body, name(from.code));
  out.body += from.may_have_run ? ",\"may_have_run\":true" : ",\"may_have_run\":false";
  if (!from.problems.empty()) {
    out.body += ",\"errors\":[";
    for (std::size_t i = 0; i < from.problems.size(); ++i) {
      out.body += i == 0 ? "{\"path\":" : ",{\"path\":";
      wire::append_json_string(out.body, from.problems[i].path);
      out.body += ",\"message\":";
      wire::append_json_string(out.body, from.problems[i].message);
      out.body += '}';
    }
    out.body += ']';
  }
  out.body += members;
  out.body += '}';
  if (from.retry_after) {
    const auto ms = from.retry_after->count();
    out.headers.emplace_back("Retry-After", std::to_string(ms <= 0 ? 0 : (ms - 1) / 1000 + 1));
  }
  return out;
}

front::response refusal(int http_status, std::string_view detail) {
  auto out = begin(http_status, detail);
  out.body += ",\"may_have_run\":false}";
  return out;
}

}  // namespace waggle::gateway
