// Each text that is wrong, and all that is said of it. What is "accepted" stands beside what is nearly the same and is not.
#include "gateway/routes/config.hpp"
#include "support/catch.hpp"

using namespace std::literals;
using namespace waggle::gateway;

namespace {

const std::string get = "routes:\n  - route: GET /a/{id}\n    call: x.y\n";
const std::string post = "routes:\n  - route: POST /a/{id}\n    call: x.y\n";

std::optional<std::string> environment(const std::string& name) {
  if (name == "REGION") return "eu";
  if (name == "SECRET") return std::string(32, 'k');
  if (name == "SHORT") return "abc";
  return std::nullopt;
}

std::string errors_of(std::string text) {
  const config_file file{"r.yaml", std::move(text)};
  const auto out = parse_config({&file, 1}, environment);
  if (out) return "accepted";
  std::string all;
  for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
  return all;
}

struct row {
  std::string text;
  std::string said;
};

void check(const std::vector<row>& rows) {
  for (const auto& each : rows) {
    CAPTURE(each.text);
    CHECK(errors_of(each.text) == each.said);
  }
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("config: an unknown key is told with the one that may be meant, or with all there are", "[routes]") {
  check({
      {get + R"(    calls: z
)"s,
       R"(r.yaml:4: the key "calls" is not known; did you mean "call"?)"},
      {get + R"(    zzz: z
)"s,
       R"(r.yaml:4: the key "zzz" is not known; a route has route, call, emit, steps, budget, summary, when, fields, key, status, headers, reply, incomplete, stream, then, mirror, deprecated, sunset and link)"},
      {R"(route: []
)",
       R"(r.yaml:1: the key "route" is not known; did you mean "routes"?
r.yaml:1: the file has no routes; write a list of them under routes:)"},
      {R"(limts: {}
)",
       R"(r.yaml:1: the key "limts" is not known; did you mean "limits"?
r.yaml:1: the file has no routes; write a list of them under routes:)"},
      {get + R"(    fields:
      a: {form: query.x}
)"s,
       R"(r.yaml:5: the key "form" is not known; did you mean "from"?
r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or {value: x}, or one of {object: {...}}, {list: [...]} and {jq: ...})"},
      {R"({[a]: 1}
)",
       R"(r.yaml:1: the key "" is not known; a file has limits, tokens and routes
r.yaml:1: the file has no routes; write a list of them under routes:)"},
  });
}

TEST_CASE("config: a route calls, emits or has steps, and only one of it", "[routes]") {
  check({
      {R"(routes:
  - route: GET /a
    call: a
    emit: b
)",
       R"(r.yaml:2: the route has several of call, emit and steps; write one of them)"},
      {R"(routes:
  - route: POST /a
    emit: b c
)",
       R"(r.yaml:3: "b c" is no name of an event; write 1 to 128 bytes without spaces)"},
      {R"(routes:
  - route: POST /a
    emit: order.placed
    stream: sse
    mirror: x
)",
       R"(r.yaml:4: an event has no parts; remove stream
r.yaml:5: an event has no mirror; remove it)"},
      {R"(routes:
  - route: GET /a
    emit: [b]
)",
       R"(r.yaml:3: emit is no text; write one, as in emit: order.placed)"},
  });
}

TEST_CASE("config: a condition is of the request's query, header, cookie or claim, and each of its faults is told", "[routes]") {
  check({
      {get + R"(    when: {header.X-V: 2, query.beta: ~, cookie.s: present, query.c: [a, b]}
)"s,
       R"(accepted)"},
      {get + R"(    when: header.X
)"s,
       R"(r.yaml:4: when is no map; write what a source has to say, as in when: {header.X-Api-Version: "2"})"},
      {get + R"(    when: {}
)"s,
       R"(r.yaml:4: when is no map; write what a source has to say, as in when: {header.X-Api-Version: "2"})"},
      {get + R"(    when: {path.id: 1}
)"s,
       R"(r.yaml:4: "path.id" decides about no route; write query.NAME, header.NAME, cookie.NAME or claim.NAME)"},
      {get + R"(    when: {body.x: 1}
)"s,
       R"(r.yaml:4: a GET has no body; write query.NAME, or another method)"},
      {get + R"(    when: {query.a: []}
)"s,
       R"(r.yaml:4: the condition allows nothing; write a list of texts, or present)"},
      {get + R"(    when: {query.a: [x, x]}
)"s,
       R"(r.yaml:4: "x" stands here twice; remove one)"},
      {get + R"(    when: {query.a: [[x]]}
)"s,
       R"(r.yaml:4: a condition is no text; write one, a list of them, or present)"},
      {get + R"(    when: {query.a: {b: c}}
)"s,
       R"(r.yaml:4: a condition is no text; write one, a list of them, or present)"},
      {get + R"(    when: {step.call: 1}
)"s,
       R"(r.yaml:4: step.call is not known yet here; write what comes with the request, as header.NAME or query.NAME)"},
      {get + R"(    when: {header.X-A: 1, header.X-A: 2}
)"s,
       R"(r.yaml:4: the key "header.X-A" stands here twice; remove one)"},
      {get + R"(    when: {nothing: 1}
)"s,
       R"(r.yaml:4: "nothing" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {get + R"(    when: {query.q0: 1, query.q1: 1, query.q2: 1, query.q3: 1, query.q4: 1, query.q5: 1, query.q6: 1, query.q7: 1, query.q8: 1}
)"s,
       R"(r.yaml:4: there are more than 8 conditions; write fewer)"},
      {get + R"(    when: {query.a: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64]}
)"s,
       R"(r.yaml:4: there are more than 64 texts; write fewer)"},
  });
}

TEST_CASE("config: the reply, its status and its stream", "[routes]") {
  check({
      {get + R"(    status: 300
)"s,
       R"(r.yaml:4: the status is no number from 200 to 299; write one of those)"},
      {get + R"(    status: 201
)"s,
       R"(accepted)"},
      {get + R"(    status: ok
)"s,
       R"(r.yaml:4: the status is no number from 200 to 299; write one of those)"},
      {get + R"(    incomplete: 206
)"s,
       R"(r.yaml:2: the reply uses no optional step, so it is never incomplete; leave incomplete away)"},
      {get + R"(    reply: step.call.items
)"s,
       R"(accepted)"},
      {get + R"(    reply: {a: step.call, b: {value: 1}}
)"s,
       R"(accepted)"},
      {get + R"(    reply: {jq: '.step.call | {a}'}
)"s,
       R"(accepted)"},
      {get + R"(    reply: {jq: '.step.cal | {a}'}
)"s,
       R"(r.yaml:4: there is no step "cal"; did you mean "call"? (an entry of that name of something else is .["step"]))"},
      {get + R"(    reply: step.cal
)"s,
       R"(r.yaml:4: there is no step "cal"; did you mean "call"?)"},
      {get + R"(    reply: all
)"s,
       R"(r.yaml:4: reply is no map; write a source for each field, as in items: step.call.items, or reply: step.call)"},
      {get + R"(    reply: [a]
)"s,
       R"(r.yaml:4: reply is no map; write a source for each field, as in items: step.call.items, or reply: step.call)"},
      {get + R"(    reply: error.call
)"s,
       R"(r.yaml:4: error.call is never there: without the result of call nothing goes on; write step.call)"},
      {get + R"(    stream: xml
)"s,
       R"(r.yaml:4: "xml" is no stream; write whole, sse or ndjson, or leave it away: then Accept decides)"},
      {get + R"(    stream: ndjson
)"s,
       R"(accepted)"},
  });
}

TEST_CASE("config: headers of an answer are names that a route may set, and texts with sources in braces", "[routes]") {
  check({
      {get + R"(    headers: {Location: '/o/{step.call.id}/x'}
)"s,
       R"(accepted)"},
      {get + R"(    headers: {'a b': x}
)"s,
       R"(r.yaml:4: "a b" is no name of a header; write letters, digits and -)"},
      {get + R"(    headers: {content-length: 1}
)"s,
       R"(r.yaml:4: the header content-length is not a route's to set; the gateway says it)"},
      {get + R"(    headers: {Sunset: x}
)"s,
       R"(r.yaml:4: the header Sunset is not a route's to set; write sunset: YYYY-MM-DD)"},
      {get + R"(    headers: {X: '{path.id'}
)"s,
       R"(r.yaml:4: "{path.id" has a { without its }; write sources in braces, as in {path.id})"},
      {get + R"(    headers: {X: 'path.id}'}
)"s,
       R"(r.yaml:4: "path.id}" has a } without its {; write sources in braces, as in {path.id})"},
      {get + R"(    headers: {X: '{{path.id}}'}
)"s,
       R"(r.yaml:4: "{{path.id}}" has a { without its }; write sources in braces, as in {path.id})"},
      {get + R"(    headers: {X: '{nothing}'}
)"s,
       R"(r.yaml:4: "nothing" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {get + R"(    headers: {X: '{}'}
)"s,
       R"(r.yaml:4: "" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {get + R"(    headers: {X: "a\r\nSet-Cookie: x"}
)"s,
       R"(r.yaml:4: the header's text has characters that a header cannot have, or spaces around it; write it in one line)"},
      {get + R"(    headers: {X: a, x: b}
)"s,
       R"(r.yaml:4: the header "x" stands here twice; remove one)"},
      {get + R"(    headers: {X: [a]}
)"s,
       R"(r.yaml:4: a header is no text; write one, as in "/orders/{step.call.id}")"},
      {get + R"(    headers: x
)"s,
       R"(r.yaml:4: headers is no map; write headers, as in headers: {Location: "/orders/{step.call.id}"})"},
      {get + R"(    headers: {X: '{body.x}'}
)"s,
       R"(r.yaml:4: a GET has no body; write query.NAME, or another method)"},
  });
}

TEST_CASE("config: a mirror is a command and a percentage", "[routes]") {
  check({
      {get + R"(    mirror: x.z
)"s,
       R"(accepted)"},
      {get + R"(    mirror: {call: x.z, percent: 10}
)"s,
       R"(accepted)"},
      {get + R"(    mirror: {call: x.z, percent: 101}
)"s,
       R"(r.yaml:4: percent is no number from 0 to 100; write one of those)"},
      {get + R"(    mirror: {percent: 10}
)"s,
       R"(r.yaml:4: the mirror calls nothing; write a command's name, as in call: hello.say2)"},
      {get + R"(    mirror: [x]
)"s,
       R"(r.yaml:4: mirror is no command; write one, as in mirror: hello.say2 or mirror: {call: hello.say2, percent: 10})"},
      {get + R"(    mirror: a b
)"s,
       R"(r.yaml:4: "a b" is no name of a command; write 1 to 128 bytes without spaces)"},
      {get + R"(    mirror: {call: x.z, percents: 1}
)"s,
       R"(r.yaml:4: the key "percents" is not known; did you mean "percent"?)"},
  });
}

TEST_CASE("config: deprecation and sunset are days in order", "[routes]") {
  check({
      {get + R"(    deprecated: 2026-01-01
    sunset: 2027-01-01
    link: https://x.example/y
)"s,
       R"(accepted)"},
      {get + R"(    deprecated: 2026-02-30
)"s,
       R"(r.yaml:4: "2026-02-30" is no day; write YYYY-MM-DD, as in 2026-01-31)"},
      {get + R"(    deprecated: 1.1.2026
)"s,
       R"(r.yaml:4: "1.1.2026" is no day; write YYYY-MM-DD, as in 2026-01-31)"},
      {get + R"(    deprecated: 2026-01-02
    sunset: 2026-01-01
)"s,
       R"(r.yaml:5: the sunset is before the deprecation; write a later day)"},
      {get + R"(    link: https://x
)"s,
       R"(r.yaml:4: link explains a deprecation; write deprecated: YYYY-MM-DD too)"},
      {get + R"(    deprecated: 2026-01-01
    link: moved
)"s,
       R"(r.yaml:5: "moved" is no link; write an address, as in https://example.com/moved)"},
      {get + R"(    sunset: 2026-1-1
)"s,
       R"(r.yaml:4: "2026-1-1" is no day; write YYYY-MM-DD, as in 2026-01-31)"},
      {get + R"(    sunset: 2026-+1-01
)"s,
       R"(r.yaml:4: "2026-+1-01" is no day; write YYYY-MM-DD, as in 2026-01-31)"},
  });
}

TEST_CASE("config: a command is chosen by version or by weight, of what comes with the request", "[routes]") {
  check({
      {R"(routes:
  - route: GET /a
    call: {by: header.X-V, is: {'1': a.b, '2': a.c}, default: a.b}
)",
       R"(accepted)"},
      {R"(routes:
  - route: GET /a
    call: {by: header.X-V, is: {}}
)",
       R"(r.yaml:3: is is no map; write a command for each text, as in is: {"1": a.b, "2": a.c})"},
      {R"(routes:
  - route: GET /a
    call: {by: header.X-V}
)",
       R"(r.yaml:3: this chooses no command; write {by: header.X-Api-Version, is: {"1": a.b, "2": a.c}} or {split: {a.b: 90, a.c: 10}})"},
      {R"(routes:
  - route: GET /a
    call: {by: nothing, is: {'1': a.b}}
)",
       R"(r.yaml:3: "nothing" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {R"(routes:
  - route: GET /a
    call: {by: step.x, is: {'1': a.b}}
)",
       R"(r.yaml:3: step.x is not known yet here; write what comes with the request, as header.NAME or query.NAME)"},
      {R"(routes:
  - route: GET /a
    call: {by: query.v, is: {'1': a b}}
)",
       R"(r.yaml:3: "a b" is no name of a command; write 1 to 128 bytes without spaces)"},
      {R"(routes:
  - route: GET /a
    call: {by: query.v, is: {'1': a, '1': b}}
)",
       R"(r.yaml:3: the key "1" stands here twice; remove one)"},
      {R"(routes:
  - route: GET /a
    call: {by: query.v, is: {'1': [a]}}
)",
       R"(r.yaml:3: "1" stands for no command; write a command's name)"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: 90, a.c: 10}, sticky: header.X-U}
)",
       R"(accepted)"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: 0, a.c: 0}}
)",
       R"(r.yaml:3: all weights are 0; write more for one of them)"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: -1}}
)",
       R"(r.yaml:3: the weight of "a.b" is no number from 0 to 1000000; write one of those)"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: much}}
)",
       R"(r.yaml:3: the weight of "a.b" is no number from 0 to 1000000; write one of those)"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: 1.5}}
)",
       R"(r.yaml:3: the weight of "a.b" is no number from 0 to 1000000; write one of those)"},
      {R"(routes:
  - route: GET /a
    call: {split: {}}
)",
       R"(r.yaml:3: split is no map; write a weight for each command, as in split: {a.b: 90, a.c: 10})"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: 1}, by: query.x}
)",
       R"(r.yaml:3: this chooses no command; write {by: header.X-Api-Version, is: {"1": a.b, "2": a.c}} or {split: {a.b: 90, a.c: 10}})"},
      {R"(routes:
  - route: GET /a
    call: {split: {a.b: 1}, sticky: step.call}
)",
       R"(r.yaml:3: step.call is not known yet here; write what comes with the request, as header.NAME or query.NAME)"},
      {R"(routes:
  - route: GET /a
    call: {spilt: {a.b: 1}}
)",
       R"(r.yaml:3: the key "spilt" is not known; did you mean "split"?
r.yaml:3: this chooses no command; write {by: header.X-Api-Version, is: {"1": a.b, "2": a.c}} or {split: {a.b: 90, a.c: 10}})"},
      {R"(routes:
  - route: GET /a
    call: {}
)",
       R"(r.yaml:3: this chooses no command; write {by: header.X-Api-Version, is: {"1": a.b, "2": a.c}} or {split: {a.b: 90, a.c: 10}})"},
  });
}

TEST_CASE("config: a value is a source, a constant, an object, a list or a program, and each fault of it is told", "[routes]") {
  check({
      {post + R"(    fields:
      a: {from: query.x, type: integer}
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: {from: query.x, type: int}
)"s,
       R"(r.yaml:5: "int" is no type; write string, integer, number, boolean or list)"},
      {post + R"(    fields:
      a: {from: body.x, type: integer}
)"s,
       R"(r.yaml:5: body.x has its type already; leave type away)"},
      {post + R"(    fields:
      a: {from: query.x, default: 1, type: list}
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: {object: {b: query.x, c: {list: [query.y, {value: 1}]}}}
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: {object: query.x}
)"s,
       R"(r.yaml:5: object is no map; write a source for each field, as in object: {name: query.name})"},
      {post + R"(    fields:
      a: {object: {b: nothing}}
)"s,
       R"(r.yaml:5: "nothing" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {post + R"(    fields:
      a: {list: {}}
)"s,
       R"(r.yaml:5: list is no list; write sources, as in list: [query.first, query.second])"},
      {post + R"(    fields:
      a: {list: [nothing]}
)"s,
       R"(r.yaml:5: "nothing" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {post + R"(    fields:
      a: {list: [~]}
)"s,
       R"(r.yaml:5: a field has no source; write one, as in query.name, {from: query.name, default: x} or {value: x})"},
      {post + R"(    fields:
      a: {jq: .body.x}
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: {jq: [x]}
)"s,
       R"(r.yaml:5: jq is no text; write one, as in jq: .body | {name})"},
      {post + R"(    fields:
      a: {jq: ''}
)"s,
       R"(r.yaml:5: jq is no text; write one, as in jq: .body | {name})"},
      {post + R"(    fields:
      a: {value: 1, type: string}
)"s,
       R"(r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or {value: x}, or one of {object: {...}}, {list: [...]} and {jq: ...})"},
      {post + R"(    fields:
      a: {object: {}, list: []}
)"s,
       R"(r.yaml:5: a field is either taken or given; write {from: query.name}, {from: query.name, default: x} or {value: x}, or one of {object: {...}}, {list: [...]} and {jq: ...})"},
      {post + R"(    fields:
      a: env.REGION
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: env.NONE
)"s,
       R"(r.yaml:5: the variable NONE is not set; set it, or write {from: env.NONE, default: x})"},
      {post + R"(    fields:
      a: {from: env.NONE, default: x}
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: env.1x
)"s,
       R"(r.yaml:5: "1x" is no name of a variable; write letters, digits and _, no digit first)"},
      {post + R"(    fields:
      a: claim.sub
)"s,
       R"(r.yaml:5: claim.sub is of a token, and nothing says whose tokens count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY})"},
      {post + R"(    fields:
      a: cookie.a b
)"s,
       R"(r.yaml:5: "a b" is no name of a cookie; write letters, digits and -)"},
      {post + R"(    fields:
      a: step.call
)"s,
       R"(r.yaml:5: step.call is the step's own result, which is not there yet; write another step's)"},
      {post + R"(    fields:
      a: {jq: .step.call}
)"s,
       R"(r.yaml:5: step.call is the step's own result, which is not there yet; write another step's)"},
      {post + R"(    fields:
      a: error.call
)"s,
       R"(r.yaml:5: error.call is the step's own result, which is not there yet; write another step's)"},
      {post + R"(    fields:
      a: header.X
)"s,
       R"(accepted)"},
      {post + R"(    fields:
      a: step.
)"s,
       R"(r.yaml:5: "step." is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {post + R"(    fields:
      a: body.
)"s,
       R"(r.yaml:5: "body." has an empty step; write one dot between two names)"},
      {post + R"(    fields:
      a: claim..x
)"s,
       R"(r.yaml:5: "claim..x" has an empty step; write one dot between two names)"},
  });
}

TEST_CASE("config: a payload as a whole is a source, a map or a program", "[routes]") {
  check({
      {post + R"(    fields: body
)"s,
       R"(accepted)"},
      {post + R"(    fields: body.x
)"s,
       R"(accepted)"},
      {post + R"(    fields: step.call
)"s,
       R"(r.yaml:4: step.call is the step's own result, which is not there yet; write another step's)"},
      {post + R"(    fields: {jq: '.body | {a}'}
)"s,
       R"(accepted)"},
      {post + R"(    fields: {jq: query.x}
)"s,
       R"(accepted)"},
      {post + R"(    fields: claim.x
)"s,
       R"(r.yaml:4: claim.x is of a token, and nothing says whose tokens count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY})"},
      {post + R"(    fields: path.id
)"s,
       R"(accepted)"},
      {post + R"(    fields: query
)"s,
       R"(r.yaml:4: fields is no map; write a source for each field, as in name: query.name, or fields: body)"},
      {post + R"(    fields: bodies
)"s,
       R"(r.yaml:4: fields is no map; write a source for each field, as in name: query.name, or fields: body)"},
      {post + R"(    fields: nothing.x
)"s,
       R"(r.yaml:4: "nothing.x" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant)"},
      {post + R"(    fields: [a]
)"s,
       R"(r.yaml:4: fields is no map; write a source for each field, as in name: query.name, or fields: body)"},
      {get + R"(    fields: body
)"s,
       R"(r.yaml:4: a GET has no body; write query.NAME, or another method)"},
      {post + R"(    key: path.id
)"s,
       R"(accepted)"},
      {post + R"(    key: [x]
)"s,
       R"(r.yaml:4: key is no text; write one, as in key: header.X-User)"},
      {post + R"(    key: step.call
)"s,
       R"(r.yaml:4: step.call is the step's own result, which is not there yet; write another step's)"},
      {post + R"(    key: path.x
)"s,
       R"(r.yaml:4: POST /a/{id} has no parameter "x"; write path.id)"},
  });
}

TEST_CASE("config: steps are checked for what they need of each other", "[routes]") {
  check({
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x.a}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    steps:
      a: {call: x.a}
)",
       R"(r.yaml:2: a route with steps needs a reply; write one, as in reply: step.NAME or reply: {a: step.NAME})"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    fields: {}
    key: query.x
    stream: sse
    mirror: x
    steps:
      a: {call: x.a}
)",
       R"(r.yaml:4: fields belongs to a step here; write it below one of the steps
r.yaml:5: key belongs to a step here; write it below one of the steps
r.yaml:6: stream goes with a single call; remove it, or the steps
r.yaml:7: mirror goes with a single call; remove it, or the steps)"},
      {R"(routes:
  - route: POST /a
    reply: body
    steps: {}
)",
       R"(r.yaml:4: steps is no map of steps; write them, as in steps: {order: {call: order.place}})"},
      {R"(routes:
  - route: POST /a
    reply: body
    steps: [a]
)",
       R"(r.yaml:4: steps is no map of steps; write them, as in steps: {order: {call: order.place}})"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {}
      'b c': {call: x}
      b: x
      d: {call: x, emit: y}
)",
       R"(r.yaml:6: "b c" is no name of a step; write letters, digits, _ and -, a letter first
r.yaml:5: the step a calls nothing; write call: COMMAND or emit: TOPIC
r.yaml:7: a step is a map; write b: {call: hello.say}
r.yaml:8: the step d both calls and emits; write one of them)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x}
      a: {call: x}
)",
       R"(r.yaml:6: the key "a" stands here twice; remove one)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, fields: {b: step.b}}
      b: {call: x, fields: {a: step.a}}
)",
       R"(r.yaml:5: these steps wait for each other: a → b → a; take one reference or after away)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, after: b}
      b: {call: x, after: [c]}
      c: {call: x, fields: {jq: '.step.a.x'}}
      d: {call: x}
)",
       R"(r.yaml:5: these steps wait for each other: a → b → c → a; take one reference or after away)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, after: a}
)",
       R"(r.yaml:5: the step a comes after itself; name another step)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, after: [b, b, {}]}
      b: {call: x}
)",
       R"(r.yaml:5: the step "b" stands here twice; remove one
r.yaml:5: after names no step; write a step's name, or a list of them)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      order: {call: x}
      a: {call: x, after: ordr}
      b: {call: x, after: zzzzz}
)",
       R"(r.yaml:6: there is no step "ordr"; did you mean "order"?
r.yaml:7: there is no step "zzzzz"; the steps are order, a and b)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, fields: {b: step.a}}
)",
       R"(r.yaml:5: step.a is the step's own result, which is not there yet; write another step's)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, fields: {b: step.bb.c, c: error.b}}
      b: {call: x}
)",
       R"(r.yaml:5: there is no step "bb"; the steps are a and b
r.yaml:5: error.b is never there: without the result of b nothing goes on; write step.b, or optional: true below the step)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, fields: {b: error.b}}
      b: {call: x, optional: true}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, optional: true}
)",
       R"(r.yaml:3: the reply uses a, which is optional, and nothing says what it is worth without; write incomplete: 200 below the route)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    incomplete: 200
    steps:
      a: {call: x, optional: true}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, fallback: {items: []}}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    incomplete: 200
    steps:
      a: {call: x, fallback: {items: []}}
)",
       R"(r.yaml:2: the reply uses no optional step, so it is never incomplete; leave incomplete away)"},
      {R"(routes:
  - route: POST /a
    reply: {jq: '{b: .step.b, a: .step["a"].x}'}
    steps:
      a: {call: x, optional: true}
      b: {call: x}
)",
       R"(r.yaml:3: the reply uses a, which is optional, and nothing says what it is worth without; write incomplete: 200 below the route)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    incomplete: 200
    steps:
      a: {call: x, optional: true, fallback: 1}
      b: {call: x, optional: maybe}
)",
       R"(r.yaml:6: a step with a fallback is optional; write one of both
r.yaml:7: optional is neither true nor false; write optional: true)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, undo: {call: y, fields: {id: step.a.id}}}
)",
       R"(r.yaml:5: nothing can fail after the only step; remove undo)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, undo: {call: y, fields: {id: step.a.id}}}
      b: {call: z, after: a}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, undo: {call: y, fields: {id: step.b.id}}}
      b: {call: z, after: a}
)",
       R"(r.yaml:5: step.b may not be there when a is undone; write after: b below a, or another source)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, after: c, undo: {call: y, fields: {id: step.b.id}}}
      b: {call: z}
      c: {call: z, after: b}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, undo: {call: y}}
      b: {call: z, undo: y}
      c: {call: x, undo: {fields: {}, optional: true}}
)",
       R"(r.yaml:5: the undo has no fields; write what its command needs, as in fields: {id: step.a.id}
r.yaml:6: undo is no map; write it as undo: {call: order.cancel, fields: {id: step.b.id}}
r.yaml:7: the key "optional" is not known; an undo has call, fields, key and budget
r.yaml:7: the undo calls nothing; write a command's name, as in call: order.cancel)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    budget: 2s
    steps:
      a: {call: x, budget: 3s}
)",
       R"(r.yaml:6: the budget of the step a is longer than the route's; write a shorter one, or a longer one there)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, budget: 0s, key: nothing}
)",
       R"(r.yaml:5: "nothing" is no source; write path.NAME, query.NAME, header.NAME, cookie.NAME, body, body.NAME, claim.NAME, env.NAME, step.NAME or error.NAME, or {value: ...} for a constant
r.yaml:5: "0s" is no budget; write 250ms, 2s, 5m or 1h, up to a day)"},
      {R"(routes:
  - route: POST /a
    reply: body
    steps:
      s0: {call: x}
      s1: {call: x}
      s2: {call: x}
      s3: {call: x}
      s4: {call: x}
      s5: {call: x}
      s6: {call: x}
      s7: {call: x}
      s8: {call: x}
      s9: {call: x}
      s10: {call: x}
      s11: {call: x}
      s12: {call: x}
      s13: {call: x}
      s14: {call: x}
      s15: {call: x}
      s16: {call: x}
      s17: {call: x}
      s18: {call: x}
      s19: {call: x}
      s20: {call: x}
      s21: {call: x}
      s22: {call: x}
      s23: {call: x}
      s24: {call: x}
      s25: {call: x}
      s26: {call: x}
      s27: {call: x}
      s28: {call: x}
      s29: {call: x}
      s30: {call: x}
      s31: {call: x}
      s32: {call: x}
)",
       R"(r.yaml:5: there are more than 32 steps; write fewer, or a command that does several)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {emit: x, fields: {id: body.id}}
)",
       R"(accepted)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    steps:
      a: {call: x, fallbck: 1}
)",
       R"(r.yaml:5: the key "fallbck" is not known; did you mean "fallback"?)"},
  });
}

TEST_CASE("config: what comes after the reply needs no one who waits", "[routes]") {
  check({
      {post + R"(    then: {a: {emit: x.z, fields: {id: step.call.id}}, b: {call: q, after: a, fields: {x: step.a}}}
)"s,
       R"(accepted)"},
      {post + R"(    then: {call: {emit: x.z}}
)"s,
       R"(r.yaml:4: another step is named "call"; name one of them otherwise)"},
      {post + R"(    then:
      a: {emit: x.z, optional: true, undo: {call: z, fields: {}}, fallback: 1}
)"s,
       R"(r.yaml:5: a step of then has no optional: the reply has been given; remove it, or write the step below steps
r.yaml:5: a step of then has no fallback: the reply has been given; remove it, or write the step below steps
r.yaml:5: a step of then has no undo: the reply has been given; remove it, or write the step below steps
r.yaml:5: a step with a fallback is optional; write one of both)"},
      {post + R"(    fields: {x: step.a}
    reply: {b: step.a}
    then: {a: {emit: x.z}}
)"s,
       R"(r.yaml:4: step.a comes only after the reply: a is a step of then; write a step of the route itself
r.yaml:5: step.a comes only after the reply: a is a step of then; write a step of the route itself)"},
      {post + R"(    then: {a: {emit: x, fields: {x: step.b}}, b: {emit: x, fields: {x: step.a}}}
)"s,
       R"(r.yaml:4: these steps wait for each other: a → b → a; take one reference or after away)"},
      {post + R"(    then: {a: {emit: x, fields: {x: error.call}}, b: {emit: x, fields: {x: error.a}}}
)"s,
       R"(r.yaml:4: error.call is never there: without the result of call nothing goes on; write step.call
r.yaml:4: error.a is never there: without the result of a nothing goes on; leave it away)"},
      {post + R"(    then: {}
)"s,
       R"(r.yaml:4: then is no map of steps; write them, as in then: {order: {call: order.place}})"},
      {post + R"(    then: {a: {emit: x, fields: {x: step.calls}}}
)"s,
       R"(r.yaml:4: there is no step "calls"; did you mean "call"?)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    then: {t: {emit: x}}
    steps:
      a: {call: x, after: t}
)",
       R"(r.yaml:6: the step a cannot come after t, which is a step of then; write it below then too)"},
      {R"(routes:
  - route: POST /a
    reply: step.a
    incomplete: 200
    then: {t: {emit: x, after: a}, u: {emit: x, fields: {why: error.a.message}}}
    steps:
      a: {call: x, optional: true}
)",
       R"(accepted)"},
  });
}

TEST_CASE("config: limits are bytes, times and numbers within bounds", "[routes]") {
  check({
      {R"(limits: {body_bytes: 4MiB, header_bytes: 16KiB, fields: 50, target_bytes: 1000, connections: 65536, head_time: 5s, idle_time: 24h}
)",
       R"(accepted)"},
      {R"(limits: {body_bytes: 4MB}
)",
       R"(r.yaml:1: "4MB" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_bytes: -1}
)",
       R"(r.yaml:1: "-1" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_bytes: 1TiB}
)",
       R"(r.yaml:1: "1TiB" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_byte: 1MiB}
)",
       R"(r.yaml:1: the key "body_byte" is not known; did you mean "body_bytes"?)"},
      {R"(limits: {head_time: 5}
)",
       R"(r.yaml:1: "5" is no head_time; write a time from 100ms to 10m, as in 250ms, 10s or 5m)"},
      {R"(limits: {head_time: 1h}
)",
       R"(r.yaml:1: "1h" is no head_time; write a time from 100ms to 10m, as in 250ms, 10s or 5m)"},
      {R"(limits: {connections: 65537}
)",
       R"(r.yaml:1: "65537" is no connections; write a number from 1 to 65536)"},
      {R"(limits: {fields: 1KiB}
)",
       R"(r.yaml:1: "1KiB" is no fields; write a number from 4 to 10000)"},
      {R"(limits: x
)",
       R"(r.yaml:1: limits is no map; write limits, as in limits: {body_bytes: 1MiB, idle_time: 75s})"},
      {R"(limits: {target_bytes: 32KiB}
)",
       R"(r.yaml:1: target_bytes (32KiB) is more than header_bytes (16KiB), of which it is a part; write less, or more for header_bytes)"},
      {R"(limits: {target_bytes: 32KiB, header_bytes: 64KiB}
)",
       R"(accepted)"},
      {R"(limits: {body_bytes: [1]}
)",
       R"(r.yaml:1: "" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
      {R"(limits: {body_bytes: 99999999999999999999}
)",
       R"(r.yaml:1: "99999999999999999999" is no body_bytes; write bytes from 0 to 64MiB, as in 500, 16KiB or 1MiB)"},
  });
}

TEST_CASE("config: tokens have an algorithm and a key that is elsewhere", "[routes]") {
  check({
      {R"(tokens: {algorithm: HS256, key: env.SECRET, issuer: https://x, audience: shop}
)",
       R"(accepted)"},
      {R"(tokens: {algorithm: HS256, key: env.SHORT}
)",
       R"(r.yaml:1: the secret of HS256 is shorter than 32 bytes; make a longer one, as with openssl rand -hex 32)"},
      {R"(tokens: {algorithm: HS512, key: env.SECRET}
)",
       R"(r.yaml:1: "HS512" is no algorithm; write HS256, RS256 or ES256
r.yaml:1: the key is no PEM; write the public key that begins with -----BEGIN PUBLIC KEY-----)"},
      {R"(tokens: {algorithm: HS256, key: env.NONE}
)",
       R"(r.yaml:1: the variable NONE is not set; set it to the key)"},
      {R"(tokens: {algorithm: HS256, key: geheim}
)",
       R"(r.yaml:1: the key is neither of the environment nor of a file; write env.NAME or file.PATH, and the key itself there)"},
      {R"(tokens: {algorithm: ES256, key: env.SECRET}
)",
       R"(r.yaml:1: the key is no PEM; write the public key that begins with -----BEGIN PUBLIC KEY-----)"},
      {R"(tokens: {algorithm: ES256, key: file.none.pem}
)",
       R"(r.yaml:1: the file "none.pem" cannot be read; write the path of one that can)"},
      {R"(tokens: {}
)",
       R"(r.yaml:1: tokens have no algorithm; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}
r.yaml:1: tokens have no key; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY})"},
      {R"(tokens: []
)",
       R"(r.yaml:1: tokens is no map; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY})"},
      {R"(tokens: {algorithm: HS256, key: env.SECRET, isuer: x}
)",
       R"(r.yaml:1: the key "isuer" is not known; did you mean "issuer"?)"},
      {R"(tokens: {algorithm: HS256, key: env.SECRET}
routes:
  - route: GET /a/{id}
    call: x.y
    fields: {u: claim.sub, r: claim.realm.roles}
)",
       R"(accepted)"},
  });
}

TEST_CASE("config: a route that is never asked is told with the one that is asked instead", "[routes]") {
  check({
      {R"(routes:
  - {route: 'GET /a/{x}', call: x}
  - {route: 'GET /a/{y}', call: x}
)",
       R"(r.yaml:3: GET /a/{y} takes the same requests as the route at r.yaml:2; remove one)"},
      {R"(routes:
  - {route: 'GET /a', call: x}
  - {route: 'GET /a', call: x, when: {query.b: ~}}
)",
       R"(r.yaml:3: GET /a is never asked: the route at r.yaml:2 takes all its requests first; put it before that one)"},
      {R"(routes:
  - {route: 'GET /a', call: x, when: {query.b: ~}}
  - {route: 'GET /a', call: x}
)",
       R"(accepted)"},
      {R"(routes:
  - {route: 'GET /a', call: x, when: {query.b: [x, y]}}
  - {route: 'GET /a', call: x, when: {query.b: x}}
)",
       R"(r.yaml:3: GET /a is never asked: the route at r.yaml:2 takes all its requests first; put it before that one)"},
      {R"(routes:
  - {route: 'GET /a', call: x, when: {query.b: x}}
  - {route: 'GET /a', call: x, when: {query.b: [x, y]}}
)",
       R"(accepted)"},
      {R"(routes:
  - {route: 'GET /a', call: x, when: {header.X-B: x}}
  - {route: 'GET /a', call: x, when: {header.x-b: x}}
)",
       R"(r.yaml:3: GET /a takes the same requests as the route at r.yaml:2; remove one)"},
      {R"(routes:
  - {route: 'GET /a', call: x, when: {header.X-B: x}}
  - {route: 'GET /a', call: x, when: {header.x-b: x, query.c: ~}}
)",
       R"(r.yaml:3: GET /a is never asked: the route at r.yaml:2 takes all its requests first; put it before that one)"},
      {R"(routes:
  - {route: 'GET /a', call: x, when: {header.X-B: ~}}
  - {route: 'GET /a', call: x, when: {header.x-b: x}}
)",
       R"(r.yaml:3: GET /a is never asked: the route at r.yaml:2 takes all its requests first; put it before that one)"},
  });
}

TEST_CASE("config: the named limits hold, and what is within them is accepted", "[routes]") {
  const auto fields = [](int count) {
    std::string out = post + "    fields:\n";
    for (int i = 0; i < count; ++i) out += "      f" + std::to_string(i) + ": query.f\n";
    return out;
  };
  const auto steps = [](int count, const char* key) {
    std::string out = "routes:\n  - route: POST /a\n"s + (key == "then"s ? "    call: x\n" : "    reply: body\n") + "    " + key + ":\n";
    for (int i = 0; i < count; ++i) out += "      s" + std::to_string(i) + ": {call: x}\n";
    return out;
  };
  check({
      {fields(256), "accepted"},
      {fields(257), "r.yaml:261: there are more than 256 fields; write fields: body"},
      {fields(300), "r.yaml:261: there are more than 256 fields; write fields: body"},
      {post + "    fields: {a: {list: [" + repeated("query.f, ", 255) + "]}}", "accepted"},
      {post + "    fields: {a: {list: [" + repeated("query.f, ", 256) + "]}}",
       "r.yaml:4: there are more than 256 fields; write fields: body"},
      {steps(32, "steps"), "accepted"},
      {steps(33, "steps"), "r.yaml:5: there are more than 32 steps; write fewer, or a command that does several"},
      {steps(32, "then"), "accepted"},
      {steps(33, "then"), "r.yaml:5: there are more than 32 steps; write fewer, or a command that does several"},
      {get + "    when: {query.a: [" + repeated("x, ", 65) + "]}", "r.yaml:4: there are more than 64 texts; write fewer"},
      {post + "    fields: {a: {jq: '" + std::string(16384, '.') + "'}}", "accepted"},
      {post + "    fields: {a: {jq: '" + std::string(16385, '.') + "'}}",
       "r.yaml:4: the jq program is larger than 16 KiB; write a smaller one, or a command"},
  });
  std::string variants = "routes:\n";
  for (int i = 0; i < 65; ++i) variants += "  - {route: GET /a, call: x, when: {query.b: v" + std::to_string(i) + "}}\n";
  CHECK(errors_of(variants) ==
        "r.yaml:66: GET /a has more than 64 routes; write fewer conditions, or call: {by: ..., is: {...}}");
}

TEST_CASE("config: aliases may repeat a little, and neither a bomb nor a ring of them is walked", "[routes]") {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const std::string before = "*"s + static_cast<char>(c - 1);
    bomb += std::string{c} + ": &" + c + " [" + repeated(before + ",", 9) + before + "]\n";
  }
  check({
      {post + "    fields: &f {a: query.x}\n  - {route: PUT /b, call: z, fields: *f}\n", "accepted"},
      {bomb, "r.yaml:1: the aliases repeat too much; write it out, or in several files"},
      {"routes: &a [*a]\n", "r.yaml:1: this is nested too deep; write it flatter"},
      {"routes: " + std::string(400, '[') + std::string(400, ']'), "r.yaml:1: this is nested too deep; write it flatter"},
  });
  CHECK(errors_of("routes: " + std::string(100'000, '[')).find("this is not YAML") != std::string::npos);
}

TEST_CASE("config: a variable's value is read once, and a constant where it is not set and has a default", "[routes]") {
  const config_file file{"r.yaml", post + "    fields: {a: env.REGION, b: {from: env.NONE, default: 7}, c: {from: env.REGION, default: 7}}\n"};
  const auto out = parse_config({&file, 1}, environment).value();
  const auto& payload = std::get<value_config>(out.routes.at(0).steps.at(0).payload);
  const auto& entries = std::get<value_config::object>(payload.is).entries;
  CHECK(std::get<value_config::taken>(entries.at(0).second.is).from.text == "eu");
  CHECK(std::get<value_config::constant>(entries.at(1).second.is).msgpack == "\x07");
  CHECK(std::get<value_config::taken>(entries.at(2).second.is).from.text == "eu");
}

TEST_CASE("config: limits and tokens stand in one place of all files", "[routes]") {
  const std::vector<config_file> files{{"a.yaml", "limits: {fields: 50}\ntokens: {algorithm: HS256, key: env.SECRET}\n"},
                                       {"b.yaml", "limits: {fields: 60}\ntokens: {algorithm: HS256, key: env.SECRET}\n"},
                                       {"c.yaml", get + "    fields: {who: claim.sub}\n"}};
  CHECK(parse_config(files, environment).error() ==
        std::vector<std::string>{"b.yaml:1: limits stand at a.yaml:1 already; write them in one place",
                                 "b.yaml:2: tokens stand at a.yaml:2 already; write them in one place"});
  CHECK(parse_config(std::vector{files[0], files[2]}, environment).value().limits.fields_max == 50);
  CHECK(parse_config(std::vector{files[2]}, environment).error().at(0).find("c.yaml:4: claim.sub is of a token") == 0);
}
