#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/json.hpp>

#include "gateway/routes/schema_check.hpp"
#include "support/catch.hpp"

using namespace std::string_literals;
using namespace std::string_view_literals;
using waggle::gateway::json_value;
using waggle::gateway::schema_check;

namespace {

std::string listed(const std::vector<waggle::problem>& all) {
  std::string out;
  for (const auto& each : all) out += (out.empty() ? "" : "\n") + each.path + ": " + each.message;
  return out;
}

std::string problems_of(const char* schema, std::string_view msgpack) {
  const auto made = schema_check::compile(json_value::parse(schema));
  return made ? listed(made->check(msgpack)) : "not compiled: " + made.error();
}

/// The same, whether or not the value is looked through first for being one.
std::string json_problems(const char* schema, std::string_view json) {
  const auto value = waggle::wire::json_to_msgpack(json).value();
  const auto out = problems_of(schema, value);
  if (const auto made = schema_check::compile(json_value::parse(schema))) CHECK(listed(made->check_value(value)) == out);
  return out;
}

}  // namespace

TEST_CASE("schema: every offending field is listed, each at its path", "[schema]") {
  CHECK(json_problems(R"({"type": "object", "required": ["name", "zip"], "properties": {
      "name": {"type": "string"}, "zip": {"type": "integer", "minimum": 0, "maximum": 65535},
      "at": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}}}})",
                      R"({"name": 5, "at": [{"x": 1}, {"x": "a"}, 3]})") ==
        "name: expected a string, got an integer\n"
        "at[1].x: expected an integer, got a string\n"
        "at[2]: expected an object, got an integer\n"
        "zip: is missing");
}

TEST_CASE("schema: what each keyword asks for is kept or named", "[schema]") {
  struct {
    const char *schema, *json, *problems;
  } const table[] = {
      {"true", "1", ""},
      {"false", "1", ": is not allowed here"},
      {"{}", "[1]", ""},
      {R"({"type": "integer"})", "1.0", ""},
      {R"({"type": "integer"})", "1.5", ": expected an integer, got a number"},
      {R"({"type": ["string", "null"]})", "1", ": expected a string or null, got an integer"},
      {R"({"enum": ["a", 1, {"x": [1]}]})", R"({"x": [1.0]})", ""},
      {R"({"enum": ["a", 1]})", R"("b")", R"(: expected one of "a", 1, got "b")"},
      {R"({"const": 2})", "2.0", ""},
      {R"({"const": 2})", "3", ": expected 2, got 3"},
      {R"({"minimum": 0, "maximum": 9})", "-1", ": expected 0 to 9, got -1"},
      {R"({"exclusiveMinimum": 0})", "0", ": expected more than 0, got 0"},
      {R"({"maximum": 18446744073709551614})", "18446744073709551615",
       ": expected 18446744073709551614 or less, got 18446744073709551615"},
      {R"({"maximum": 9007199254740992})", "9007199254740993", ": expected 9007199254740992 or less, got 9007199254740993"},
      {R"({"const": 9007199254740993})", "9007199254740992", ": expected 9007199254740993, got 9007199254740992"},
      {R"({"multipleOf": 5})", "12", ": expected a multiple of 5, got 12"},
      {R"({"multipleOf": 0.01})", "19.99", ""},
      {R"({"minLength": 2})", R"("é")", ": expected at least 2 characters, got 1"},
      {R"({"maxLength": 1})", R"("é")", ""},
      {R"({"pattern": "^a+$"})", R"("ab")", R"(: the string does not match the pattern "^a+$")"},
      {R"({"format": "date"})", R"("2026-02-30")", ": the string is not a date of RFC 3339, such as 2026-07-14"},
      {R"({"format": "time"})", R"("09:30:00Z")", ""},
      {R"({"format": "uuid"})", R"("123e4567-e89b-12d3-a456-426614174000")", ""},
      {R"({"format": "uri"})", R"("no scheme")", ": the string is not a URI"},
      {R"({"format": "email"})", R"("a@b.c")", ""},
      {R"({"format": "ipv4"})", R"("1.2.3.256")", ": the string is not an IPv4 address"},
      {R"({"format": "unheard-of"})", R"("x")", ""},
      {R"({"contentEncoding": "base64"})", R"("a")", ": the string is not base64 (RFC 4648, with padding)"},
      {R"({"minItems": 2, "maxItems": 2})", "[1]", ": expected 2 elements, got 1"},
      {R"({"uniqueItems": true})", "[1, 2, 1.0]", "[2]: is there more than once"},
      {R"({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}})", R"([1, "a"])",
       "[0]: expected a string, got an integer\n[1]: expected an integer, got a string"},
      {R"({"items": [true], "additionalItems": false})", "[1, 2]", "[1]: is not allowed here"},
      {R"({"contains": {"const": 1}})", "[2]", ": expected at least 1 element, got 0 that fits `contains`"},
      {R"({"properties": {"a": {}}, "additionalProperties": false})", R"({"a": 1, "b": 2})", "b: is not allowed here"},
      {R"({"required": ["b"], "additionalProperties": false})", R"({"b": 2})", "b: is not allowed here"},
      {R"({"patternProperties": {"^x": {"type": "integer"}}})", R"({"x1": "a", "y": "a"})", "x1: expected an integer, got a string"},
      {R"({"propertyNames": {"maxLength": 1}})", R"({"ab": 1})", "ab: expected at most 1 character, got 2"},
      {R"({"minProperties": 1})", "{}", ": expected at least 1 field, got 0"},
      {R"({"dependentRequired": {"a": ["b"]}})", R"({"a": 1})", R"(b: is missing, which goes with "a")"},
      {R"({"dependencies": {"a": {"required": ["c"]}}})", R"({"a": 1})", "c: is missing"},
      {R"({"anyOf": [{"type": "object", "properties": {"x": {"type": "integer"}}}, {"type": "null"}]})", R"({"x": "a"})",
       "x: expected an integer, got a string"},
      {R"({"anyOf": [{"type": "integer"}, {"type": "null"}]})", R"("a")", ": expected an integer or null, got a string"},
      {R"({"oneOf": [{"type": "integer"}, {"minimum": 2}]})", "3", ": fits 2 of 2 alternatives, expected one"},
      {R"({"allOf": [{"minimum": 2}, {"maximum": 1}]})", "1", ": expected 2 or more, got 1"},
      {R"({"not": {"type": "null"}})", "null", ": is what it must not be"},
      {R"({"if": {"minimum": 5}, "then": {"multipleOf": 5}, "else": {"const": 1}})", "6", ": expected a multiple of 5, got 6"},
      {R"({"if": {"minimum": 5}, "then": {"multipleOf": 5}, "else": {"const": 1}})", "2", ": expected 1, got 2"},
      {R"({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "null"}}})", "1", ": expected null, got an integer"},
      {R"({"properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}})", R"({"next": {"next": {"n": "x"}}})",
       "next.next.n: expected an integer, got a string"},
  };
  for (const auto& each : table) {
    INFO(each.schema << " " << each.json);
    CHECK(json_problems(each.schema, each.json) == each.problems);
  }
}

TEST_CASE("schema: binaries and timestamps are the strings that the SDK describes them as", "[schema]") {
  CHECK(problems_of(R"({"type": "string", "contentEncoding": "base64"})", "\xc4\x01\xff"sv).empty());
  CHECK(problems_of(R"({"type": "string", "format": "date-time"})", "\xd6\xff\x00\x00\x00\x01"sv).empty());
  CHECK(problems_of(R"({"type": "string"})", "\xc4\x01\xff"sv) == ": expected a string, got a binary");
  CHECK(problems_of(R"({"type": "string", "format": "date-time"})", "\xd6\x05\x00\x00\x00\x01"sv) ==
        ": expected a date-time, got an extension");
}

TEST_CASE("schema: no payload is an object without fields, and any object is no payload", "[schema]") {
  CHECK(problems_of(R"({"type": "object", "required": ["a"]})", ""sv) == "a: is missing");
  CHECK(problems_of(R"({"type": "object"})", "\xc0"sv).empty());
  CHECK(json_problems(R"({"type": "null"})", R"({"a": 1})").empty());
}

TEST_CASE("schema: what cannot be compiled is said", "[schema]") {
  for (const char* each : {"1", R"({"type": "text"})", R"({"$ref": "#/nowhere"})", R"({"$ref": "http://x/y"})", R"({"$ref": "#"})",
                           R"_({"pattern": "(?=a)"})_", R"({"enum": 1})", R"({"multipleOf": 0})", R"({"minLength": -1})",
                           R"({"anyOf": []})", R"({"allOf": [{"$ref": "#"}]})", R"({"properties": []})"}) {
    INFO(each);
    CHECK_FALSE(schema_check::compile(json_value::parse(each)));
  }
}

TEST_CASE("schema: no schema keeps a thread", "[schema]") {
  std::string defs = R"("d0": {"type": "integer"})";
  for (int i = 1; i <= 60; ++i) {
    const auto below = "{\"$ref\": \"#/$defs/d" + std::to_string(i - 1) + "\"}";
    defs += ", \"d" + std::to_string(i) + "\": {\"allOf\": [" + below + "," + below + "]}";
  }
  const auto made = schema_check::compile(json_value::parse(R"({"$ref": "#/$defs/d60", "$defs": {)" + defs + "}}"));
  REQUIRE(made);
  CHECK(made->check("\x01").empty());  // 2^60 looks, if it did not give up
}
