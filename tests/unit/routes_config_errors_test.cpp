// Each text of a route that is wrong, and all that is said of it. What is "accepted" stands beside what is nearly the same and is not.
#include "support/config_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

TEST_CASE("config: an unknown key is told with the one that may be meant, or with all there are", "[routes]") {
  check({
      {get + R"(    calls: z
)"s,
       R"(r.yaml:4: the key "calls" is not known; did you mean "call"?)"},
      {get + R"(    zzz: z
)"s,
       R"(r.yaml:4: the key "zzz" is not known; a route has route, call, emit, steps, budget, summary, when, fields, key, status, headers, reply, incomplete, stream, then, mirror, deprecated, sunset, link, later, access, rate and concurrency)"},
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
       R"(r.yaml:1: the key "" is not known; a file has limits, tls, tokens, api_keys, access, events, access_log, proxies, cors, rates, breaker, retries and routes
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
