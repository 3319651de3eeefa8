// Durable commands over HTTP: what clients prefer, receipts, and outcomes.
#include "gateway/routes/operations.hpp"
#include "gateway/routes/preferences.hpp"
#include "support/catch.hpp"
#include "support/routes_fixture.hpp"

using namespace waggle;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

preferences preferred(std::vector<front::header> headers) { return preferences_of(headers); }

std::string key(std::vector<front::header> headers, std::size_t bytes_max = idempotency_key_bytes_max) {
  const auto out = idempotency_key_of(headers, bytes_max);
  return !out ? "wrong" : *out ? **out : "none";
}

router with_route(const std::string& more) {
  router out{configured("routes:\n  - {route: POST /reports, call: shop.do, budget: 5m" + more + "}\n"), {}};
  out.update(one_command("[]"));
  return out;
}

planned_call call_for_receipt(std::string more = {}) {
  return *plan(with_route(", later: true" + more), {"POST", "/reports", "{}", {}}).call;
}

std::string packed(const char* text) { return wire::json_to_msgpack(text).value(); }

std::string header_of(const front::response& of, std::string_view name) {
  std::string out;
  for (const auto& each : of.headers) {
    if (each.first == name) out += (out.empty() ? "" : "; ") + std::string{each.second};
  }
  return out.empty() ? "none" : out;
}

front::response refused(planned_request of) { return std::get<front::response>(std::move(of)); }

planned_request outcome_of(sent in) { return plan_outcome(in.request(), std::chrono::seconds{10}); }

}  // namespace

TEST_CASE("preferences: one is found among others, in one header or several, with parameters and without regard to case", "[routes]") {
  CHECK(preferred({{"Prefer", "respond-async"}}).respond_async);
  CHECK(preferred({{"prefer", "return=minimal, Respond-Async ; x=1, wait=5"}}).respond_async);
  CHECK(preferred({{"Prefer", "handling=lenient"}, {"Prefer", "respond-async"}}).respond_async);
  CHECK(preferred({{"Prefer", "a=\"x, y\\\"\", respond-async=\"\""}}).respond_async);
  CHECK(preferred({{"Prefer", "return=minimal, Respond-Async ; x=1, wait=5"}}).wait == std::chrono::seconds{5});
  CHECK(preferred({{"Prefer", "wait = \"7\""}}).wait == std::chrono::seconds{7});
  CHECK(preferred({{"Prefer", "wait=99999999999999999999999"}}).wait == std::chrono::hours{24});
}

TEST_CASE("preferences: what is none, is inside a quoted text, or comes after the first is stepped over", "[routes]") {
  CHECK_FALSE(preferred({}).respond_async);
  CHECK_FALSE(preferred({{"Accept", "respond-async"}}).respond_async);
  CHECK_FALSE(preferred({{"Prefer", "x=\"a, respond-async\""}}).respond_async);
  CHECK_FALSE(preferred({{"Prefer", "respond-async=no, respond-async"}}).respond_async);
  CHECK_FALSE(preferred({{"Prefer", "respond-asynchronously, x;respond-async, \"respond-async\""}}).respond_async);
  CHECK_FALSE(preferred({{"Prefer", "\"respond-async"}}).respond_async);
  CHECK_FALSE(preferred({{"Prefer", "wait=-1"}}).wait);
  CHECK_FALSE(preferred({{"Prefer", "wait=1s"}}).wait);
  CHECK_FALSE(preferred({{"Prefer", "wait"}}).wait);
  CHECK(preferred({{"Prefer", "wait=1, wait=2"}}).wait == std::chrono::seconds{1});
}

TEST_CASE("idempotency key: it is read plain or quoted; too long, odd, empty or twice is wrong", "[routes]") {
  CHECK(key({}) == "none");
  CHECK(key({{"Idempotency-Key", "8e03978e-40d5"}}) == "8e03978e-40d5");
  CHECK(key({{"idempotency-key", "\"8e03978e-40d5\""}}) == "8e03978e-40d5");
  CHECK(key({{"Idempotency-Key", R"("a \"b\" c")"}}) == R"(a "b" c)");
  CHECK(key({{"Idempotency-Key", std::string(255, 'x')}}) == std::string(255, 'x'));
  const std::string long_key(256, 'x');
  CHECK(key({{"Idempotency-Key", long_key}}) == "wrong");
  CHECK(key({{"Idempotency-Key", std::string_view{long_key}.substr(0, 129)}}, 128) == "wrong");
  for (const auto* each : {"", "\"\"", "a b", "\"a", "\"a\"b", "gr\xc3\xbc\xc3\x9f", "a\tb"}) {
    CAPTURE(each);
    CHECK(key({{"Idempotency-Key", each}}) == "wrong");
  }
  CHECK(key({{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}}) == "wrong");
}

TEST_CASE("later: a call is kept where the client prefers that or its route says so, and else made at once", "[routes]") {
  const auto plain = plan(with_route(""), {"POST", "/reports", "{}", {}});
  CHECK(plain.call->what_for == planned_call::purpose::reply);
  CHECK(plain.call->budget == std::chrono::minutes{5});
  const auto preferred = plan(with_route(""), {"POST", "/reports", "{}", {{"Prefer", "respond-async"}, {"Idempotency-Key", "k"}}});
  CHECK(preferred.call->what_for == planned_call::purpose::receipt);
  CHECK(preferred.call->run_budget == std::chrono::minutes{5});
  CHECK(preferred.call->budget == std::chrono::seconds{10});
  CHECK(preferred.call->idempotency_key == "k");
  CHECK(preferred.call->idempotent);
  const auto required = plan(with_route(", later: true"), {"POST", "/reports", "{}", {}});
  CHECK(required.call->what_for == planned_call::purpose::receipt);
  CHECK_FALSE(required.call->preferred);
  CHECK_FALSE(required.call->idempotent);
}

TEST_CASE("later: a bad idempotency key is refused where the call is kept, and nobody's business where it is not", "[routes]") {
  const std::vector<std::pair<std::string, std::string>> bad{{"Idempotency-Key", "a b"}};
  CHECK(shown(with_route(", later: true"), {"POST", "/reports", "{}", bad}) ==
        "400 Idempotency-Key is to be 1 to 255 visible characters of ASCII, and to come once");
  CHECK(shown(with_route(""), {"POST", "/reports", "{}", bad}) == "{}");
}

TEST_CASE("later: a command that sends parts is called at once whatever the client prefers", "[routes]") {
  router net{configured("routes: [{route: GET /log, call: log.follow}]"), {}};
  net.update(gateway::test::network(R"([{"service":"log","version":"1","commands":[{"name":"log.follow","retry":"once","http":[],"streams":true}],"instances":[]}])"));
  const auto out = plan(net, {"GET", "/log", "", {{"Prefer", "respond-async"}}});
  CHECK(out.call->what_for == planned_call::purpose::reply);
}

TEST_CASE("later: steps and events step over the preference", "[routes]") {
  router net{configured("routes:\n"
                        "  - {route: POST /a, steps: {a: {call: x}}, reply: step.a}\n"
                        "  - {route: POST /b, emit: b.done}\n"
                        "  - {route: POST /c, call: x, status: 201}\n"),
             {}};
  for (const auto* path : {"/a", "/b", "/c"}) {
    CAPTURE(path);
    const sent in{"POST", path, "{}", {{"Prefer", "respond-async"}}};
    CHECK(std::holds_alternative<plan_run>(net.plan(in.request())));
  }
}

TEST_CASE("receipt: it is 202 with the place of the outcome, and says what was applied", "[routes]") {
  auto call = call_for_receipt();
  auto out = receipt_answer(call, packed(R"({"operation":"op 1/a","state":"waiting"})"));
  CHECK(out.status == 202);
  CHECK(out.content_type == "application/json");
  CHECK(out.body == R"({"operation":"op 1/a","state":"waiting"})");
  CHECK(header_of(out, "Location") == "/operations/op%201%2Fa");
  CHECK(header_of(out, "Preference-Applied") == "none");
  call.preferred = true;
  out = receipt_answer(call, packed(R"({"operation":"x","state":"waiting","newer":[1]})"));
  CHECK(header_of(out, "Preference-Applied") == "respond-async");
  CHECK(header_of(out, "Vary") == "Accept; Prefer");
}

TEST_CASE("receipt: the same key again is the same place once the command has ended, and 409 with it before", "[routes]") {
  auto out = receipt_answer(call_for_receipt(), packed(R"({"operation":"x","repeated":true,"state":"ended"})"));
  CHECK(out.status == 202);
  CHECK(header_of(out, "Location") == "/operations/x");
  out = receipt_answer(call_for_receipt(), packed(R"({"operation":"x","repeated":true,"state":"waiting"})"));
  CHECK(out.status == 409);
  CHECK(out.content_type == "application/problem+json");
  CHECK(header_of(out, "Location") == "/operations/x");
  CHECK(header_of(out, "Retry-After") == "1");
  CHECK(json::parse(out.body).at("operation") == "x");
}

TEST_CASE("receipt: the same key with another payload is 422, a broker that keeps nothing 501, whatever their messages say", "[routes]") {
  error other{status::failed_precondition, "no"};
  other.problems.push_back({"idempotency_key", "was used with another payload"});
  CHECK(receipt_answer(call_for_receipt(), tl::unexpected{other}).status == 422);
  const auto none = receipt_answer(call_for_receipt(), failure(status::failed_precondition, "no idempotency_key without --data"));
  CHECK(none.status == 501);
  CHECK(json::parse(none.body).at("code") == "UNIMPLEMENTED");
  CHECK(json::parse(none.body).at("detail").get<std::string>().find("--data") != std::string::npos);
  CHECK(receipt_answer(call_for_receipt(), failure(status::unavailable, "away")).status == 503);
}

TEST_CASE("receipt: a reply that is none is not passed off as one", "[routes]") {
  for (const auto* each : {R"({"message":"hello"})", "7", "{\"operation\":1,\"state\":\"ended\"}", "null"}) {
    CAPTURE(each);
    CHECK(receipt_answer(call_for_receipt(), packed(each)).status == 500);
  }
  CHECK(receipt_answer(call_for_receipt(), std::string{}).status == 500);
}

TEST_CASE("outcome: a request for an operation asks the broker, and waits as long as it prefers, up to 30 s", "[routes]") {
  auto call = std::get<planned_call>(outcome_of({"GET", "/operations/op%2F1", "", {}}));
  CHECK(call.command == "waggle.outcome");
  CHECK(call.budget == std::chrono::seconds{10});
  CHECK(wire::msgpack_to_json(call.payload) == R"({"operation":"op/1"})");
  call = std::get<planned_call>(outcome_of({"HEAD", "/operations/x", "", {{"Prefer", "wait=5"}}}));
  CHECK(call.budget == std::chrono::seconds{15});
  CHECK(wire::msgpack_to_json(call.payload) == R"({"operation":"x","wait_ms":5000})");
  call = std::get<planned_call>(outcome_of({"GET", "/operations/x", "", {{"Prefer", "wait=600"}}}));
  CHECK(wire::msgpack_to_json(call.payload) == R"({"operation":"x","wait_ms":30000})");
  CHECK(std::get<planned_call>(outcome_of({"GET", "/operations/x", "", {{"Accept", "application/msgpack"}}})).reply == reply_format::msgpack);
}

TEST_CASE("outcome: a request that names no operation, or wants something else of it, is refused", "[routes]") {
  CHECK(refused(outcome_of({"GET", "/operations/", "", {}})).status == 404);
  CHECK(refused(outcome_of({"GET", "/operations/a/b", "", {}})).status == 404);
  CHECK(refused(outcome_of({"GET", "/operations/a%20b%00", "", {}})).status == 400);
  CHECK(refused(outcome_of({"GET", "/operations/%ff", "", {}})).status == 400);
  CHECK(refused(outcome_of({"GET", "/operations/" + std::string(129, 'x'), "", {}})).status == 404);
  CHECK(refused(outcome_of({"GET", "/operations/x", "", {{"Accept", "text/html"}}})).status == 406);
  const auto wrong = refused(outcome_of({"POST", "/operations/x", "", {}}));
  CHECK(wrong.status == 405);
  CHECK(header_of(wrong, "Allow") == "GET, HEAD, OPTIONS");
  CHECK(refused(outcome_of({"OPTIONS", "/operations/x", "", {}})).status == 204);
}

TEST_CASE("outcome: what the broker says is the answer, and as long as it is not the end the client is told when to ask again", "[routes]") {
  auto call = std::get<planned_call>(outcome_of({"GET", "/operations/x", "", {{"Prefer", "wait=2"}}}));
  auto out = outcome_answer(call, packed(R"({"operation":"x","command":"report.make","state":"retrying","attempts":2,"next_attempt_ms":900})"));
  CHECK(out.status == 200);
  CHECK(out.body == R"({"operation":"x","command":"report.make","state":"retrying","attempts":2,"next_attempt_ms":900})");
  CHECK(header_of(out, "Retry-After") == "1");
  CHECK(header_of(out, "Cache-Control") == "no-store");
  CHECK(header_of(out, "Preference-Applied") == "wait=2");
  out = outcome_answer(call, packed(R"({"operation":"x","state":"succeeded","attempts":1,"status":"OK","result":[1,{"a":null}]})"));
  CHECK(json::parse(out.body).at("result") == json::parse(R"([1,{"a":null}])"));
  CHECK(header_of(out, "Retry-After") == "none");
}

TEST_CASE("outcome: the error of a command is the problem that it would have been as an answer", "[routes]") {
  const auto call = std::get<planned_call>(outcome_of({"GET", "/operations/x", "", {}}));
  const auto out = outcome_answer(call, packed(R"({"operation":"x","state":"failed","attempts":8,"status":"UNAVAILABLE",
    "error":{"code":"UNAVAILABLE","message":"no worker","may_have_run":true,"problems":[{"path":"a","message":"b"}]}})"));
  CHECK(out.status == 200);
  CHECK(json::parse(out.body).at("error") == json::parse(R"({"type":"about:blank","title":"Service Unavailable","status":503,
    "detail":"no worker","code":"UNAVAILABLE","may_have_run":true,"errors":[{"path":"a","message":"b"}]})"));
}

TEST_CASE("outcome: an unknown operation is 404, a broker that keeps nothing 501, an answer that is none 500", "[routes]") {
  const auto call = std::get<planned_call>(outcome_of({"GET", "/operations/x", "", {}}));
  CHECK(outcome_answer(call, failure(status::not_found, "no operation \"x\"")).status == 404);
  CHECK(outcome_answer(call, failure(status::failed_precondition, "no data")).status == 501);
  CHECK(outcome_answer(call, std::string{}).status == 500);
  CHECK(outcome_answer(call, packed("[1]")).status == 500);
  CHECK(outcome_answer(call, packed(R"({"operation":"x","state":"waiting"})") + "x").status == 500);
}

TEST_CASE("operations: a route whose path begins with the same text is asked first, one of parameters is not", "[routes]") {
  router net{configured("routes: [{route: \"GET /operations/{id}\", call: x}, {route: \"GET /{a}/{b}/c\", call: y}]"), {}};
  const auto own = [](const router& of, std::string path) { return of.has_own_route(sent{"GET", std::move(path), "", {}}.request(), {}); };
  CHECK(own(net, "/operations/1"));
  CHECK_FALSE(own(net, "/operations/1/c"));
  CHECK_FALSE(own(net, "/events"));
  CHECK_FALSE(own(router{configured("routes: [{route: \"GET /{a}/{b}\", call: x}]"), {}}, "/operations/1"));
}

TEST_CASE("emit: Idempotency-Key is the event's id, and one that is too long for that is refused", "[routes]") {
  router net{configured("routes: [{route: POST /a, emit: a.done}]"), {}};
  const auto ordered = [&](std::vector<std::pair<std::string, std::string>> headers) {
    const sent in{"POST", "/a", "{}", std::move(headers)};
    auto planned = net.plan(in.request());
    plan_effects out;
    std::get<plan_run>(planned).begin({}, out);
    return out.orders.at(0).event_id;
  };
  CHECK(ordered({{"Idempotency-Key", "k-1"}}) == "k-1");
  CHECK_FALSE(ordered({}));
  CHECK(shown(net, {"POST", "/a", "{}", {{"Idempotency-Key", std::string(129, 'k')}}}) ==
        "400 Idempotency-Key is to be 1 to 128 visible characters of ASCII, and to come once");
}

TEST_CASE("emit: the receipt is the answer, 202; that the broker keeps no events is 501", "[routes]") {
  router net{configured("routes: [{route: POST /a, emit: a.done}]"), {}};
  const auto answered = [&](const result<std::string>& with) {
    auto planned = net.plan(sent{"POST", "/a", "{}", {}}.request());
    auto& run = std::get<plan_run>(planned);
    plan_effects out;
    run.begin({}, out);
    out = {};
    with ? run.on_result({}, 0, *with, out) : run.on_error({}, 0, with.error(), out);
    return *out.answer;
  };
  const auto receipt = answered(packed(R"({"durable":true,"stream":"events","sequence":7})"));
  CHECK(receipt.status == 202);
  CHECK(receipt.body == R"({"durable":true,"stream":"events","sequence":7})");
  CHECK(answered(failure(status::failed_precondition, "the broker runs with --data none")).status == 501);
  CHECK(answered(failure(status::resource_exhausted, "the disk is full")).status == 429);
}
