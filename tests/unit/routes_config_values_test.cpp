// The same of values and payloads.
#include "support/config_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

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
