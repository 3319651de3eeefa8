// The same of steps and what they call.
#include "support/config_fixture.hpp"

using namespace std::literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

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
