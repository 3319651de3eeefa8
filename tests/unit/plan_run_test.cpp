#include "gateway/routes/plan_run.hpp"

#include <random>

#include "support/catch.hpp"
#include "support/plan_fixture.hpp"

namespace {

using namespace waggle;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

router routes(std::string text) { return router{configured("routes:\n" + std::move(text))}; }

error unavailable(bool may_have_run = false) { return {status::unavailable, "nobody is there", may_have_run}; }

const char* const dashboard = R"(
- route: GET /customers/{id}/dashboard
  budget: 1s
  steps:
    customer: { call: customers.get, fields: { id: path.id } }
    orders: { call: orders.of_customer, fields: { customer: path.id }, fallback: [], budget: 300ms }
    reviews: { call: reviews.of_customer, fields: { customer: path.id }, optional: true }
  incomplete: 203
  reply: { customer: step.customer, orders: step.orders, reviews: step.reviews }
)";

}  // namespace

TEST_CASE("plan: steps without references run at the same time, and the reply waits for all", "[plan]") {
  const auto table = routes(dashboard);
  plan_fixture request{table, {"GET", "/customers/7/dashboard", "", {}}};
  CHECK(request.open() == R"(customers.get{"id":"7"} orders.of_customer{"customer":"7"} reviews.of_customer{"customer":"7"})");
  CHECK(request.order("orders.of_customer").budget == 300ms);
  CHECK(request.order("customers.get").budget == 1s);
  request.reply("reviews.of_customer", "[5]");
  request.reply("customers.get", R"({"name":"Ada"})");
  CHECK(request.answered().empty());
  request.reply("orders.of_customer", "[1,2]");
  CHECK(request.answered() == R"(200 {"customer":{"name":"Ada"},"orders":[1,2],"reviews":[5]})");
  CHECK(request.header("Waggle-Incomplete") == "none");
  CHECK(request.run->finished());
}

TEST_CASE("plan: an optional step that fails is left out, and the reply has the status that the route says", "[plan]") {
  const auto table = routes(dashboard);
  plan_fixture request{table, {"GET", "/customers/7/dashboard", "", {}}};
  request.fail("reviews.of_customer", unavailable());
  request.reply("customers.get", R"({"name":"Ada"})");
  request.reply("orders.of_customer", "[1]");
  CHECK(request.answered() == R"(203 {"customer":{"name":"Ada"},"orders":[1]})");
  CHECK(request.header("Waggle-Incomplete") == "reviews");
}

TEST_CASE("plan: a step with a fallback that fails gives its fallback, and the answer names it", "[plan]") {
  const auto table = routes(dashboard);
  plan_fixture request{table, {"GET", "/customers/7/dashboard", "", {}}};
  request.fail("orders.of_customer", {status::deadline_exceeded, "late", true});
  request.reply("customers.get", "1");
  request.reply("reviews.of_customer", "2");
  CHECK(request.answered() == R"(200 {"customer":1,"orders":[],"reviews":2})");
  CHECK(request.header("Waggle-Incomplete") == "orders");
}

TEST_CASE("plan: a required step's failure is the answer, with its status, and what is open is cancelled", "[plan]") {
  const auto table = routes(dashboard);
  plan_fixture request{table, {"GET", "/customers/7/dashboard", "", {}}};
  request.fail("customers.get", {status::not_found, "there is no customer 7"});
  CHECK(request.answer->status == 404);
  CHECK(request.body()["detail"] == "there is no customer 7");
  CHECK(request.body()["step"] == "customer");
  CHECK(request.body()["may_have_run"] == true);  // the others may have
  CHECK(request.cancelled == std::vector<std::string>{"orders.of_customer", "reviews.of_customer"});
  CHECK_FALSE(request.run->finished());
  request.reply("orders.of_customer", "[]");
  request.fail("reviews.of_customer", {status::cancelled, "", true});
  CHECK(request.run->finished());
  CHECK(request.answers == 1);
}

TEST_CASE("plan: a step begins when the steps that it refers to have ended, with what they gave", "[plan]") {
  const auto table = routes(R"(
- route: POST /orders
  steps:
    price: { call: prices.of, fields: { sku: body.sku } }
    customer: { call: customers.get, fields: { id: body.customer } }
    place: { call: orders.place, fields: { sku: body.sku, cents: step.price.cents, who: step.customer.name, note: { from: step.price.note, default: none } } }
  status: 201
  headers: { Location: "/orders/{step.place.id}" }
  reply: step.place
)");
  plan_fixture request{table, {"POST", "/orders", R"({"sku":"a","customer":3})", {}}};
  CHECK(request.open() == R"(prices.of{"sku":"a"} customers.get{"id":3})");
  request.reply("prices.of", R"({"cents":250})");
  CHECK(request.open() == R"(customers.get{"id":3})");
  request.now += 400ms;
  request.reply("customers.get", R"({"name":"Ada"})");
  CHECK(request.open() == R"(orders.place{"sku":"a","cents":250,"who":"Ada","note":"none"})");
  CHECK(request.order("orders.place").budget == 9600ms);
  request.reply("orders.place", R"({"id":"a/b 1"})");
  CHECK(request.answered() == R"(201 {"id":"a/b 1"})");
  CHECK(request.header("Location") == "/orders/a%2Fb%201");
}

TEST_CASE("plan: a step that refers to an optional step that failed begins without it", "[plan]") {
  const auto table = routes(R"(
- route: GET /x
  steps:
    a: { call: a.get, fields: {}, optional: true }
    b: { call: b.get, fields: { from: { from: step.a.value, default: 0 }, why: error.a.code } }
  reply: step.b
)");
  plan_fixture request{table, {"GET", "/x", "", {}}};
  request.fail("a.get", unavailable());
  CHECK(request.open() == R"(b.get{"from":0,"why":"UNAVAILABLE"})");
}

TEST_CASE("plan: a required step after one that failed fails the request without having run", "[plan]") {
  const auto table = routes(R"(
- route: GET /x
  steps:
    a: { call: a.get, fields: {}, optional: true }
    b: { call: b.get, fields: {}, after: a }
  reply: step.b
)");
  plan_fixture request{table, {"GET", "/x", "", {}}};
  request.fail("a.get", unavailable());
  CHECK(request.answer->status == 400);
  CHECK(request.body()["may_have_run"] == false);
  CHECK(request.body()["step"] == "b");
}

TEST_CASE("plan: the budget of the request bounds what later steps may take", "[plan]") {
  const auto table = routes(R"(
- route: GET /x
  budget: 500ms
  steps:
    a: { call: a.get, fields: {} }
    b: { call: b.get, fields: {}, after: a }
  reply: step.b
)");
  plan_fixture request{table, {"GET", "/x", "", {}}};
  request.now += 500ms;
  request.reply("a.get", "1");
  CHECK(request.answer->status == 504);
  CHECK(request.orders.empty());
}

namespace {

const char* const checkout = R"(
- route: POST /checkout
  budget: 2s
  steps:
    reserve:
      call: stock.reserve
      fields: { sku: body.sku }
      undo: { call: stock.release, fields: { reservation: step.reserve.id } }
    charge:
      call: payments.charge
      fields: { card: body.card, reservation: step.reserve.id }
      undo: { call: payments.refund, fields: { card: body.card }, budget: 1s }
    place: { call: orders.place, fields: { sku: body.sku }, after: charge }
  reply: step.place
  then:
    placed: { emit: order.placed, fields: { order: step.place.id } }
    mail: { call: mail.send, fields: { order: step.place.id, event: step.placed.seq } }
)";

sent buy() { return {"POST", "/checkout", R"({"sku":"a","card":"1"})", {}}; }

}  // namespace

TEST_CASE("plan: what has been done is undone, newest first, before the failure is answered", "[plan]") {
  const auto table = routes(checkout);
  plan_fixture request{table, buy()};
  request.reply("stock.reserve", R"({"id":9})");
  request.reply("payments.charge", "{}");
  request.fail("orders.place", {status::failed_precondition, "closed"});
  CHECK(request.answered().empty());
  CHECK(request.open() == R"(payments.refund{"card":"1"})");
  CHECK(request.order("payments.refund").budget == 1s);
  request.reply("payments.refund", "{}");
  CHECK(request.open() == R"(stock.release{"reservation":9})");
  request.reply("stock.release", "{}");
  CHECK(request.answer->status == 400);
  CHECK(request.body()["detail"] == "closed");
  CHECK(request.body()["undone"] == json{"charge", "reserve"});
  CHECK_FALSE(request.body().contains("not_undone"));
  CHECK(request.run->finished());
  CHECK(request.orders.empty());  // nothing of `then`
}

TEST_CASE("plan: a step that failed and may have run is undone, too", "[plan]") {
  const auto table = routes(checkout);
  plan_fixture request{table, buy()};
  request.reply("stock.reserve", R"({"id":9})");
  request.fail("payments.charge", {status::unavailable, "the worker died", true});
  CHECK(request.open() == R"(payments.refund{"card":"1"})");

  plan_fixture other{table, buy()};
  other.reply("stock.reserve", R"({"id":9})");
  other.fail("payments.charge", {status::failed_precondition, "declined", false});
  CHECK(other.open() == R"(stock.release{"reservation":9})");
}

TEST_CASE("plan: an undo is tried again until its own budget is over, while the client has its answer at the request's", "[plan]") {
  const auto table = routes(checkout);
  plan_fixture request{table, buy()};
  request.reply("stock.reserve", R"({"id":9})");
  request.fail("payments.charge", {status::failed_precondition, "declined"});
  int tries = 0;
  const auto begun = request.now;
  while (!request.run->finished() && request.now - begun < 60s) {
    if (!request.orders.empty()) {
      ++tries;
      request.fail("stock.release", unavailable());
    }
    request.pass(50ms);
    if (request.now - begun < 1900ms) CHECK(request.answered().empty());
  }
  CHECK(tries > 5);
  CHECK(request.now - begun > 7s);
  CHECK(request.now - begun < 11s);
  CHECK(request.body()["not_undone"] == json{"reserve"});
  CHECK(request.answers == 1);
  REQUIRE(request.notes.size() == 1);
  CHECK(request.notes[0] == "POST /checkout, step reserve is not undone: stock.release: nobody is there");
}

TEST_CASE("plan: a client that goes away has what was done for it undone", "[plan]") {
  const auto table = routes(checkout);
  plan_fixture request{table, buy()};
  request.reply("stock.reserve", R"({"id":9})");
  request.abandon();
  CHECK(request.cancelled == std::vector<std::string>{"payments.charge"});
  CHECK(request.open() == R"(payments.charge{"card":"1","reservation":9})");
  request.fail("payments.charge", {status::cancelled, "", true});
  request.reply("payments.refund", "{}");
  request.reply("stock.release", "{}");
  CHECK(request.answers == 0);
  CHECK(request.run->finished());
}

TEST_CASE("plan: what follows `then` begins after the answer, and its failures are noted only", "[plan]") {
  const auto table = routes(checkout);
  plan_fixture request{table, buy()};
  request.reply("stock.reserve", R"({"id":9})");
  request.reply("payments.charge", "{}");
  request.reply("orders.place", R"({"id":"o1"})");
  CHECK(request.answered() == R"(200 {"id":"o1"})");
  CHECK(request.open() == R"(order.placed{"order":"o1"})");
  CHECK(request.order("order.placed").emit);
  CHECK(request.order("order.placed").patient);
  request.abandon();  // the client has its answer: nothing changes
  request.reply("order.placed", R"({"seq":4})");
  CHECK(request.open() == R"(mail.send{"order":"o1","event":4})");
  request.fail("mail.send", unavailable());
  CHECK(request.run->finished());
  CHECK(request.answers == 1);
  REQUIRE(request.notes.size() == 1);
  CHECK(request.notes[0] == "POST /checkout, step mail, after the answer: UNAVAILABLE: nobody is there");
}

TEST_CASE("plan: a request whose fields do not fit is refused before anything is called, and all of it is told", "[plan]") {
  const auto table = routes(R"(
- route: GET /x
  steps:
    a: { call: a.get, fields: { n: { from: query.n, type: integer } } }
    b: { call: b.get, fields: { m: { from: query.m, type: boolean }, of: step.a.x } }
  reply: step.b
)");
  plan_fixture request{table, {"GET", "/x?n=one&m=maybe", "", {}}};
  CHECK(request.answer->status == 400);
  CHECK(request.body()["errors"].size() == 2);
  CHECK(request.body()["errors"][0]["path"] == "n");
  CHECK(request.body()["errors"][1]["message"] == "step b: query parameter m: expected true or false");
}

TEST_CASE("plan: an event in the place of a call is answered 202 with its receipt", "[plan]") {
  const auto table = routes(R"(
- route: POST /clicks
  emit: page.clicked
  fields: body
)");
  plan_fixture request{table, {"POST", "/clicks", R"({"x":1})", {}}};
  CHECK(request.open() == R"(page.clicked{"x":1})");
  CHECK(request.order("page.clicked").emit);
  request.reply("page.clicked", R"({"stream":"events"})");
  CHECK(request.answered() == R"(202 {"stream":"events"})");
}

TEST_CASE("plan: a mirrored call goes to another command too, and what comes of it changes nothing", "[plan]") {
  const auto table = routes(R"(
- route: GET /hello
  call: hello.say
  mirror: hello.say2
)");
  plan_fixture request{table, {"GET", "/hello?name=Ada", "", {}}};
  CHECK(request.order("hello.say").payload == request.order("hello.say2").payload);
  request.fail("hello.say2", unavailable());
  CHECK(request.answered().empty());
  request.reply("hello.say", R"("hi")");
  CHECK(request.answered() == R"(200 "hi")");
  CHECK(request.run->finished());
}

TEST_CASE("plan: what no frame can hold is never ordered: keys past 512 bytes, payloads past 4 MiB", "[plan]") {
  // A frame that is none costs the gateway its seat at the broker, and with it every call that it has open.
  const std::string long_key(wire::key_bytes_max + 1, 'k'), key(wire::key_bytes_max, 'k');
  const auto table = routes(R"(
- route: POST /x
  steps:
    a: { call: a.do, fields: {}, key: body.key, undo: { call: a.undo, fields: { x: step.a.x, y: step.a.x }, key: body.undo_key } }
    b: { call: b.do, fields: {}, key: step.a.key }
  reply: step.b
- route: POST /y
  call: y.do
- route: POST /z
  call: z.do
  mirror: z.next
)");
  const auto refused = [&](const sent& in) {
    const plan_fixture request{table, in};
    return !request.run && request.answer && request.answer->status == 400 &&
           request.body()["detail"] == "a key has at most 512 bytes";
  };
  CHECK(refused({"POST", "/x", "{}", {{"Waggle-Key", long_key}}}));
  CHECK(refused({"POST", "/x", R"({"key":")" + long_key + "\"}", {}}));
  CHECK(refused({"POST", "/x", R"({"undo_key":")" + long_key + "\"}", {}}));
  const sent y{"POST", "/y", "{}", {{"Waggle-Key", long_key}}}, good{"POST", "/y", "{}", {{"Waggle-Key", key}}};
  CHECK(std::get<front::response>(table.plan(y.request())).status == 400);
  CHECK(std::get<planned_call>(table.plan(good.request())).key == key);

  plan_fixture request{table, {"POST", "/x", "{}", {{"Waggle-Key", key}}}};
  request.reply("a.do", R"({"key":")" + long_key + R"(","x":")" + std::string(wire::payload_bytes_max / 2, 'x') + "\"}");
  CHECK(request.open().empty());
  CHECK(request.answer->status == 500);
  CHECK(request.body()["step"] == "b");
  CHECK(request.body()["not_undone"] == json::array({"a"}));
  CHECK(request.run->finished());

  plan_fixture mirrored{table, {"POST", "/z", '"' + std::string(wire::payload_bytes_max, 'x') + '"', {}}};
  CHECK(mirrored.open().empty());
  CHECK(mirrored.answer->status == 400);
  CHECK(mirrored.run->finished());
}

TEST_CASE("plan: a body that is one step's whole payload is there for the others, too", "[plan]") {
  const auto table = routes(R"(
- route: POST /x
  steps:
    a: { call: a.do }
    b: { call: b.do }
    c: { call: c.do, fields: { x: body.x } }
  reply: step.a
)");
  const plan_fixture request{table, {"POST", "/x", R"({"x":1,"y":2})", {}}};
  CHECK(request.open() == R"(a.do{"x":1,"y":2} b.do{"x":1,"y":2} c.do{"x":1})");
  CHECK(plan_fixture{table, {"POST", "/x", "", {}}}.open() == "a.do{} b.do{} c.do{}");
}

TEST_CASE("plan: a step whose reply is not one msgpack value has failed, and may have run", "[plan]") {
  const auto table = routes(R"(
- route: GET /x
  steps:
    a: { call: a.get, fields: {}, undo: { call: a.undo, fields: {} } }
    b: { call: b.get, fields: { a: step.a, role: { value: user } } }
  reply: step.b
)");
  // As the value of `a` it would end the map of b's fields early, or give it another entry.
  for (const auto& bytes : {std::string{"\x01\xa4role\xa5" "admin"}, std::string{"\x82\x01"}, std::string{"\xc1"}}) {
    plan_fixture request{table, {"GET", "/x", "", {}}};
    request.reply_bytes("a.get", bytes);
    CHECK(request.open() == "a.undo{}");
    request.reply("a.undo", "null");
    CHECK(request.answer->status == 500);
    CHECK(request.body()["may_have_run"] == true);
    CHECK(request.body()["step"] == "a");
  }
  plan_fixture request{table, {"GET", "/x", "", {}}};
  request.reply_bytes("a.get", "");
  CHECK(request.open() == R"(b.get{"a":null,"role":"user"})");
}

/// Whatever happens in whatever order: one answer, every slot once, an end, and each step that has run and can be undone is undone
/// when the client is told of a failure, or named.
TEST_CASE("plan: random outcomes in random order end in one answer and no loose end", "[plan][random]") {
  const auto table = routes(checkout);
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    plan_fixture request{table, buy()};
    bool reserved = false, released = false, abandoned = false;
    for (int turn = 0; turn < 400 && !request.run->finished(); ++turn) {
      const auto dice = random() % 10;
      if (dice == 0 && request.answers == 0 && !abandoned) {
        abandoned = true;
        request.abandon();
      } else if (dice < 4 || request.orders.empty()) {
        request.pass(std::chrono::milliseconds{random() % 700});
      } else {
        auto each = request.orders.begin();
        std::advance(each, random() % request.orders.size());
        const auto name = each->second.name;
        if (random() % 3 != 0) {
          reserved = reserved || name == "stock.reserve";
          released = released || name == "stock.release";
          request.reply(name, R"({"id":1,"seq":2})");
        } else {
          request.fail(name, {random() % 2 == 0 ? status::unavailable : status::failed_precondition, "no", random() % 2 == 0});
        }
      }
    }
    REQUIRE(request.run->finished());
    CHECK(request.orders.empty());
    CHECK(request.answers == (abandoned ? 0 : 1));
    if (request.answer && request.answer->status != 200 && reserved) {
      const auto body = request.body();
      const auto names = [&](const char* key) { return body.value(key, json::array()).dump(); };
      CHECK((names("undone") + names("not_undone")).find("reserve") != std::string::npos);
      if (names("undone").find("reserve") != std::string::npos) CHECK(released);
    }
    if (request.answer && request.answer->status == 200) CHECK_FALSE(released);
  }
}

TEST_CASE("requests that may have one kept answer are told apart by the command, the key and the payload of their call", "[routes][cache]") {
  planned_call one;
  one.command = "orders.of";
  one.payload = "\x01";
  const auto with_key = [&](std::optional<std::string> key) {
    auto other = one;
    other.key = std::move(key);
    return other.request_text();
  };
  const std::string long_key(100, 'a'), other_key(100, 'b');
  CHECK(with_key(long_key) == with_key(long_key));
  CHECK(with_key(long_key) != with_key(other_key));
  CHECK(with_key(long_key).find(long_key) != std::string::npos);
  CHECK(with_key("") != with_key(std::nullopt));
  auto same_bytes = one;
  same_bytes.command = "orders.o";
  same_bytes.key = "f";
  CHECK(same_bytes.request_text() != with_key(""));
  auto other_payload = one;
  other_payload.payload = "\x02";
  CHECK(other_payload.request_text() != one.request_text());
}
