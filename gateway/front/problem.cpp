#include "gateway/front/problem.hpp"

#include <string>

#include <waggle/wire/json_string.hpp>

#include "gateway/front/reason_phrase.hpp"

namespace waggle::front {

response problem(int status, std::string_view detail) {
  response out;
  out.status = status;
  out.content_type = "application/problem+json";
  out.body = R"({"type":"about:blank","title":)";
  wire::append_json_string(out.body, reason_phrase(status));
  out.body += ",\"status\":" + std::to_string(status) + ",\"detail\":";
  wire::append_json_string(out.body, detail);
  out.body += '}';
  return out;
}

}  // namespace waggle::front
