#include "gateway/routes/source.hpp"
#include "support/catch.hpp"

using namespace std::literals;
using waggle::gateway::parse_source;
using waggle::gateway::source;
using part = source::part;

TEST_CASE("source: each kind is read into its part, its name and its steps, and written as it was", "[routes]") {
  struct row {
    const char* text;
    part from;
    const char* name;
    std::vector<std::string> steps;
  };
  const row rows[] = {{"path.id", part::path, "id", {}},
                      {"path.a-b", part::path, "a-b", {}},
                      {"query.tag", part::query, "tag", {}},
                      {"query.lang.tag", part::query, "lang.tag", {}},
                      {"query.a b", part::query, "a b", {}},
                      {"header.X-Tenant", part::header, "X-Tenant", {}},
                      {"cookie.session", part::cookie, "session", {}},
                      {"body", part::body, "", {}},
                      {"body.city", part::body, "", {"city"}},
                      {"body.address.city", part::body, "", {"address", "city"}},
                      {"claim.sub", part::claim, "sub", {}},
                      {"claim.realm.roles", part::claim, "realm", {"roles"}},
                      {"env.WAGGLE_REGION", part::env, "WAGGLE_REGION", {}},
                      {"step.order", part::step, "order", {}},
                      {"step.order.lines.first", part::step, "order", {"lines", "first"}},
                      {"error.order.message", part::error, "order", {"message"}}};
  for (const auto& each : rows) {
    CAPTURE(each.text);
    const auto out = parse_source(each.text);
    REQUIRE(out);
    CHECK(out->from == each.from);
    CHECK(out->name == each.name);
    CHECK(out->steps == each.steps);
    CHECK(out->text.empty());
    CHECK(out->written() == each.text);
  }
}

TEST_CASE("source: what is none is told with what to write instead", "[routes]") {
  const auto wrong = [](std::string_view text) { return parse_source(text) ? "accepted"s : parse_source(text).error(); };
  for (const auto* text : {"", ".", "x", "query", "query.", "path", "path.", "Body", "bodyx", "bodyx.y", "param.id", "step", "error.", "env",
                           "claim", "cookie.", " body", "steps.a"}) {
    CHECK(wrong(text) == '"' + std::string{text} +
                             "\" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, "
                             "claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant");
  }
  for (const auto* text : {"body.", "body..b", "body.b.", "body.a..b", "claim.a.", "claim..a", "step.a.", "error..a"}) {
    CHECK(wrong(text) == '"' + std::string{text} + "\" has an empty step; write one dot between two names");
  }
  CHECK(wrong("header.X Y") == "\"X Y\" is no name of a header; write letters, digits and -");
  CHECK(wrong("cookie.a;b") == "\"a;b\" is no name of a cookie; write letters, digits and -");
  for (const auto* text : {"1A", "A-B", "A.B"}) {
    CHECK(wrong("env."s + text) ==
          '"' + std::string{text} + "\" is no name of a variable; write letters, digits and _, no digit first");
  }
  CHECK(wrong("query.\xff") == "the source is not UTF-8; write it anew");
}

TEST_CASE("source: texts get their type where they are used, and steps are not of the request", "[routes]") {
  for (const auto* text : {"path.a", "query.a", "header.a", "cookie.a", "env.a"}) CHECK(parse_source(text)->is_text());
  for (const auto* text : {"body", "claim.a", "step.a", "error.a"}) CHECK_FALSE(parse_source(text)->is_text());
  for (const auto* text : {"path.a", "query.a", "header.a", "cookie.a", "env.a", "body", "claim.a"}) CHECK(parse_source(text)->of_request());
  for (const auto* text : {"step.a", "error.a"}) CHECK_FALSE(parse_source(text)->of_request());
}
