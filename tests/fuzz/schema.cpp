// A JSON Schema and, after the first line end, a value (JSON, or msgpack if it is none): whatever a worker says of a command and a
// client sends to it. A schema is compiled or refused with a reason; a check ends, says the same each time, and in problems that can
// be sent; and a schema inside `allOf`, and inside `not` twice, accepts the same values.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/utf8.hpp>

#include "gateway/routes/schema_check.hpp"
#include "tests/fuzz/require.hpp"

using namespace waggle;
using waggle::fuzz::require;
using waggle::gateway::json_value;
using waggle::gateway::schema_check;

namespace {

std::optional<schema_check> compiled(const json_value& schema) {
  auto out = schema_check::compile(schema);
  if (out) return std::move(*out);
  require(!out.error().empty(), "a schema that is refused is refused for a reason");
  return std::nullopt;
}

void require_sound(const std::vector<problem>& wrong) {
  require(wrong.size() <= wire::error_problems_max, "there are no more problems than can be sent");
  for (const auto& each : wrong) {
    require(!each.message.empty() && wire::is_utf8(each.message) && wire::is_utf8(each.path), "a problem is a text");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto end = std::min(bytes.find('\n'), bytes.size());
  const auto schema = json_value::parse(bytes.substr(0, end), nullptr, false);
  if (schema.is_discarded()) return 0;
  const auto check = compiled(schema);
  if (!check) return 0;
  const auto rest = bytes.substr(std::min(end + 1, bytes.size()));
  const auto json = wire::json_to_msgpack(rest);
  const std::string value{json ? std::string_view{*json} : rest};
  const auto wrong = check->check(value);
  require_sound(wrong);
  // What is one value, as JSON makes it, need not be looked through for that.
  const auto again = json ? check->check_value(value) : check->check(value);
  require(again.size() == wrong.size(), "equal values have equal problems");
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    require(again[i].path == wrong[i].path && again[i].message == wrong[i].message, "equal values have equal problems");
  }
  if (!json || value.size() > 200) return 0;
  // At the root no payload counts as an empty object, and an object as none: these two have no such root.
  const auto all = compiled({{"allOf", {schema}}});
  const auto twice = compiled({{"not", {{"not", schema}}}});
  if (all && twice && schema.dump().find("\"$ref\"") == std::string::npos) {
    require(all->check(value).empty() == twice->check(value).empty(), "a schema says the same inside allOf and inside not, twice");
  }
  return 0;
}
