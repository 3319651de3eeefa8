#include "support/http_fixture.hpp"

#include "gateway/front/problem.hpp"

using namespace http_fixture;

TEST_CASE("http: an answer has a Date and a length and leaves the connection open", "[http]") {
  client_fixture net;
  net.send(get("/a"));
  REQUIRE(net.asked == std::vector<std::string>{"GET /a"});
  CHECK(net.answer(0, "hello"));
  CHECK(net.read() == ok("hello"));
  CHECK_FALSE(net.client.finished());
  CHECK(net.client.wants_read());
}

TEST_CASE("http: there is nothing to do for a client whose requests are all with the application, until something is said or begun", "[http]") {
  client_fixture net;
  CHECK_FALSE(net.client.only_waits_for_answers());
  net.send(get("/0") + get("/1"));
  CHECK(net.client.only_waits_for_answers());
  CHECK(net.client.next_deadline() == instant::max());
  net.send("GET /2 HT");  // of which the rest has to come in time
  CHECK_FALSE(net.client.only_waits_for_answers());
  net.send("TP/1.1\r\nHost: a\r\n\r\n");
  CHECK(net.client.only_waits_for_answers());
  CHECK(net.answer(0, "zero"));
  CHECK_FALSE(net.client.only_waits_for_answers());
  net.read();
  CHECK(net.client.only_waits_for_answers());
  net.client.receive_end(net.now);
  CHECK_FALSE(net.client.only_waits_for_answers());
}

TEST_CASE("http: a client that may send no more until it has an answer is looked at", "[http]") {
  client_fixture net;
  for (std::size_t i = 0; i < net.context.bounds.unanswered_max; ++i) net.send(get("/"));
  CHECK_FALSE(net.client.only_waits_for_answers());
  client_fixture last;
  last.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  CHECK_FALSE(last.client.only_waits_for_answers());
}

TEST_CASE("http: answers out of order leave in the order of the requests", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1") + get("/2"));
  CHECK(net.asked.size() == 3);
  CHECK(net.answer(2, "two"));
  CHECK(net.answer(1, "one"));
  CHECK(net.read().empty());
  CHECK(net.answer(0, "zero"));
  CHECK(net.read() == ok("zero") + ok("one") + ok("two"));
}

TEST_CASE("http: a request gets one answer", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1"));
  CHECK(net.answer(1, "one"));
  CHECK_FALSE(net.answer(1, "again"));
  CHECK(net.answer(0, "zero"));
  CHECK_FALSE(net.answer(0, "again"));
  CHECK_FALSE(net.answer(7, "to nobody"));
  CHECK_FALSE(net.client.respond(net.now, exchange_id{0}, {}));
  CHECK(net.read() == ok("zero") + ok("one"));
}

TEST_CASE("http: HEAD gets the length of a body but no body", "[http]") {
  client_fixture net;
  net.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n" + get("/b"));
  CHECK(net.answer(0, "hello"));
  CHECK(net.answer(1, "next"));
  CHECK(net.read() == "HTTP/1.1 200 OK\r\nDate: " + std::string(date) + "\r\nContent-Length: 5\r\n\r\n" + ok("next"));
}

TEST_CASE("http: 204 and 304 have neither length nor body", "[http]") {
  client_fixture net;
  for (const int status : {204, 304}) {
    net.send(get("/"));
    CHECK(net.answer(net.asked.size() - 1, {status, "", "ignored", {}}));
    const std::string out = net.read();
    CHECK_FALSE(contains(out, "Content-Length"));
    CHECK(out.substr(out.size() - 4) == "\r\n\r\n");
  }
}

TEST_CASE("http: 205 says that it has no body", "[http]") {
  client_fixture net;
  net.send(get("/"));
  CHECK(net.answer(0, {205, "", "ignored", {}}));
  const std::string out = net.read();
  CHECK(contains(out, "\r\nContent-Length: 0\r\n"));
  CHECK(out.substr(out.size() - 4) == "\r\n\r\n");
}

TEST_CASE("http: a client that asks to close gets its answer and then the end", "[http]") {
  client_fixture net;
  net.send(get("/", "Connection: te, Close\r\n") + get("/never"));
  CHECK(net.asked.size() == 1);
  CHECK_FALSE(net.client.wants_read());
  CHECK(net.answer(0, "bye"));
  CHECK_FALSE(net.client.finished());
  CHECK(net.read() == ok("bye", "Connection: close\r\n"));
  CHECK(net.client.finished());
}

TEST_CASE("http: HTTP/1.0 closes unless asked to stay", "[http]") {
  client_fixture closing;
  closing.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(closing.answer(0, "bye"));
  CHECK(closing.read() == ok("bye", "Connection: close\r\n"));
  CHECK(closing.client.finished());

  client_fixture staying;
  staying.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(staying.answer(0, "more"));
  CHECK(staying.read() == ok("more", "Connection: keep-alive\r\n"));
  CHECK_FALSE(staying.client.finished());
}

TEST_CASE("http: close wins over keep-alive", "[http]") {
  client_fixture net;
  net.send("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
  CHECK(net.answer(0, "bye"));
  CHECK(contains(net.read(), "Connection: close"));
}

TEST_CASE("http: a framing error is answered as a problem, after the answers before it, and ends the input", "[http]") {
  client_fixture net;
  net.send(get("/0") + "GET / HTTP/1.1\r\nHost : a\r\n\r\n" + get("/smuggled"));
  CHECK(net.asked.size() == 1);
  CHECK_FALSE(net.client.wants_read());
  CHECK(net.read().empty());
  CHECK(net.answer(0, "zero"));
  const std::string out = net.read();
  CHECK(starts_with(out, ok("zero") + "HTTP/1.1 400 Bad Request\r\n"));
  CHECK(contains(out, "\r\nContent-Type: application/problem+json\r\n"));
  CHECK(contains(out, "\r\nConnection: close\r\n"));
  CHECK(contains(out, R"({"type":"about:blank","title":"Bad Request","status":400,"detail":")"));
  CHECK(net.client.finished());
  net.send(get("/smuggled"));
  CHECK(net.asked.size() == 1);
}

TEST_CASE("http: a line end in an answer's header makes it a 500 and never splits it", "[http]") {
  const std::string nul(1, '\0');
  for (const std::string& bad : {std::string("a\r\nX-Evil: 1"), std::string("a\nb"), std::string("a\rb"), "a" + nul}) {
    client_fixture net;
    net.send(get("/0") + get("/1") + get("/2"));
    CHECK(net.answer(0, {200, "", "", {{"X-Value", bad}}}));
    CHECK(net.answer(1, {200, "", "", {{bad, "value"}}}));
    CHECK(net.answer(2, {200, bad, "", {}}));
    const std::string out = net.read();
    CHECK_FALSE(contains(out, "X-Evil"));
    CHECK_FALSE(contains(out, "200 OK"));
    for (std::size_t at = 0, n = 0; n < 3; ++n) {
      at = out.find("HTTP/1.1 500 Internal Server Error\r\n", at);
      REQUIRE(at != std::string::npos);
      ++at;
    }
  }
}

TEST_CASE("http: a status that is none becomes a 500", "[http]") {
  client_fixture net;
  for (const int status : {0, -1, 99, 100, 101, 199, 600, 1000}) {
    net.send(get("/"));
    CHECK(net.answer(net.asked.size() - 1, {status, "", "", {}}));
    CHECK(starts_with(net.read(), "HTTP/1.1 500 "));
  }
}

TEST_CASE("http: an application's own framing headers are left away", "[http]") {
  client_fixture net;
  net.send(get("/"));
  CHECK(
      net.answer(0, {200, "", "hello", {{"content-length", "3"}, {"Transfer-Encoding", "chunked"}, {"date", "now"}}}));
  CHECK(net.read() == ok("hello"));
}

TEST_CASE("http: an application's Connection: close ends the connection after what was asked", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1"));
  CHECK(net.answer(0, {200, "", "zero", {{"Connection", "close"}}}));
  CHECK_FALSE(net.client.wants_read());
  CHECK(net.answer(1, "one"));
  CHECK(net.read() == ok("zero") + ok("one", "Connection: close\r\n"));
  CHECK(net.client.finished());
}

TEST_CASE("http: a body that waits to be asked for is asked for", "[http]") {
  client_fixture net;
  net.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  CHECK(net.read() == "HTTP/1.1 100 Continue\r\n\r\n");
  net.send("he");
  CHECK(net.read().empty());
  net.send("llo");
  CHECK(net.asked.size() == 1);
}

TEST_CASE("http: a body is asked for after the answers before it, not between them", "[http]") {
  client_fixture net;
  net.send(get("/0") + "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  CHECK(net.read().empty());
  CHECK(net.answer(0, "zero"));
  CHECK(net.read() == ok("zero") + "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST_CASE("http: a body that comes unasked is not asked for", "[http]") {
  client_fixture net;
  net.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhe");
  CHECK(net.read().empty());
  net.send("llo");
  CHECK(net.read().empty());
  CHECK(net.asked.size() == 1);
}

TEST_CASE("http: a body past the limit is refused instead of asked for", "[http]") {
  client_fixture net;
  net.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n");
  CHECK(starts_with(net.read(), "HTTP/1.1 413 "));
  CHECK(net.client.finished());
}

TEST_CASE("http: a half-closed client gets the answers to all it sent", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1") + "GET /half");
  net.end();
  CHECK(net.asked.size() == 2);
  CHECK_FALSE(net.client.wants_read());
  CHECK(net.answer(0, "zero"));
  CHECK_FALSE(net.client.finished());
  CHECK(net.answer(1, "one"));
  CHECK(net.read() == ok("zero") + ok("one", "Connection: close\r\n"));
  CHECK(net.client.finished());
}

TEST_CASE("http: a client that ends without a request is done with", "[http]") {
  client_fixture net;
  net.end();
  CHECK(net.client.finished());
  CHECK(net.read().empty());
}

TEST_CASE("http: no more is read past 32 unanswered requests, and all is read in the end", "[http]") {
  client_fixture net;
  std::string all;
  for (int i = 0; i < 100; ++i) all += get(std::string("/").append(std::to_string(i)));
  net.send(all);
  CHECK(net.asked.size() == 32);
  CHECK_FALSE(net.client.wants_read());
  std::string out, expected;
  for (std::size_t i = 0; i < 100; ++i) {
    REQUIRE(net.answer(i, std::to_string(i)));
    expected += ok(std::to_string(i));
    out += net.read();
  }
  CHECK(net.asked.size() == 100);
  CHECK(net.client.wants_read());
  CHECK((out == expected));
}

TEST_CASE("http: no more is read while a client does not take its answers", "[http]") {
  client_fixture net;
  net.context.bounds.output_bytes_max = 1000;
  net.send(get("/0") + get("/1"));
  CHECK(net.answer(0, std::string(5000, 'x')));
  CHECK(net.answer(1, "one"));
  CHECK_FALSE(net.client.wants_read());
  net.client.written(net.now, 3000);
  CHECK_FALSE(net.client.wants_read());
  net.client.written(net.now, net.client.output().size() - 500);
  CHECK(net.client.wants_read());
  CHECK(net.read().size() == 500);
}

TEST_CASE("http: pipelined requests of a half-closed client wait for room and are still answered", "[http]") {
  client_fixture net;
  net.context.bounds.unanswered_max = 1;
  net.send(get("/0") + get("/1"));
  net.end();
  CHECK(net.asked.size() == 1);
  CHECK(net.answer(0, "zero"));
  CHECK_FALSE(net.client.finished());
  CHECK(net.read() == ok("zero"));
  CHECK_FALSE(net.client.finished());
  CHECK(net.asked.size() == 2);
  CHECK(net.answer(1, "one"));
  // Whether more was to come could not be known when the answer was written.
  CHECK(starts_with(net.read(), "HTTP/1.1 200 OK\r\n"));
  CHECK(net.client.finished());
}

TEST_CASE("http: a head that does not arrive in time is answered with 408", "[http]") {
  client_fixture net;
  net.send("GET / HT");
  CHECK(net.client.next_deadline() == net.now + 10s);
  CHECK(net.advance(6s) == keep);
  net.send("TP/1.1\r\n");  // a byte now and then does not help
  CHECK(net.advance(3999ms) == keep);
  CHECK(net.read().empty());
  CHECK(net.advance(1ms) == keep);
  CHECK(starts_with(net.read(), "HTTP/1.1 408 "));
  CHECK(net.client.finished());
}

TEST_CASE("http: the clock of a head starts with its first byte, not with the connection", "[http]") {
  client_fixture net;
  CHECK(net.advance(60s) == keep);
  net.send("G");
  CHECK(net.client.next_deadline() == net.now + 10s);
  net.send("ET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(net.client.next_deadline() == instant::max());
  CHECK(net.answer(0, "zero"));
  net.read();
  CHECK(net.client.next_deadline() == net.now + 75s);
}

TEST_CASE("http: a body slower than the least rate is answered with 408", "[http]") {
  client_fixture net;
  net.context.bounds.body_bytes_per_second_min = 100;
  net.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  CHECK(net.client.next_deadline() == net.now + 10s);
  CHECK(net.advance(5s) == keep);
  net.send(std::string(1000, 'x'));  // worth ten more seconds
  CHECK(net.client.next_deadline() == net.now + 15s);
  CHECK(net.advance(14'999ms) == keep);
  CHECK(net.read().empty());
  CHECK(net.advance(1ms) == keep);
  CHECK(starts_with(net.read(), "HTTP/1.1 408 "));
  CHECK(net.client.finished());
}

TEST_CASE("http: a body at a fair rate is left alone", "[http]") {
  client_fixture net;
  net.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 102400\r\n\r\n");
  for (int i = 0; i < 50; ++i) {
    CHECK(net.advance(1s) == keep);
    net.send(std::string(2048, 'x'));
  }
  CHECK(net.asked.size() == 1);
}

TEST_CASE("http: an idle connection is closed without a word", "[http]") {
  client_fixture net;
  CHECK(net.client.next_deadline() == net.now + 75s);
  CHECK(net.advance(74'999ms) == keep);
  CHECK(net.advance(1ms) == close_now);
  CHECK(net.read().empty());
}

TEST_CASE("http: a request that waits for the application has no deadline here", "[http]") {
  client_fixture net;
  net.send(get("/"));
  CHECK(net.client.next_deadline() == instant::max());
  CHECK(net.advance(std::chrono::hours(24)) == keep);
  CHECK(net.answer(0, "late"));
  CHECK(net.read() == ok("late"));
}

TEST_CASE("http: a client that stops reading its answer is closed", "[http]") {
  client_fixture net;
  net.send(get("/"));
  CHECK(net.advance(1h) == keep);
  CHECK(net.answer(0, std::string(1000, 'x')));
  CHECK(net.client.next_deadline() == net.now + 30s);
  CHECK(net.advance(29s) == keep);
  net.client.written(net.now, 10);
  CHECK(net.advance(29s) == keep);
  CHECK(net.advance(1s) == close_now);
}

TEST_CASE("http: the last answer is waited for a little, and what comes meanwhile is not read", "[http]") {
  client_fixture net;
  net.send(get("/", "Connection: close\r\n"));
  CHECK(net.answer(0, "bye"));
  net.read();
  REQUIRE(net.client.finished());
  net.client.linger(net.now);
  CHECK(net.client.wants_read());
  net.send(get("/smuggled"));
  CHECK(net.asked.size() == 1);
  CHECK(net.advance(1999ms) == keep);
  CHECK(net.advance(1ms) == close_now);
}

TEST_CASE("http: the bytes that a client makes us hold are counted and let go", "[http]") {
  client_fixture net;
  CHECK(net.client.held_bytes() == 0);
  net.send("POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + std::string(4000, 'x'));
  CHECK(net.client.receiving());
  CHECK(net.client.held_bytes() > 4000);
  net.send(std::string(1000, 'x') + get("/1"));
  CHECK_FALSE(net.client.receiving());
  CHECK(net.client.held_bytes() == 0);
  CHECK(net.answer(1, std::string(3000, 'y')));
  CHECK(net.client.held_bytes() > 3000);
  CHECK(net.answer(0, "zero"));
  CHECK(net.client.held_bytes() == net.client.output().size());
  net.read();
  CHECK(net.client.held_bytes() == 0);
  net.send("HEAD /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + std::string(4000, 'x'));
  net.client.refuse(net.now, 503, "full");
  CHECK_FALSE(net.client.receiving());
  const std::string out = net.read();
  CHECK(starts_with(out, "HTTP/1.1 503 "));
  CHECK(out.substr(out.size() - 4) == "\r\n\r\n");  // HEAD has no body, also in an error
  CHECK(net.client.finished());
}

TEST_CASE("http: draining lets open requests finish and says that they are the last", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1"));
  net.client.drain();
  CHECK_FALSE(net.client.wants_read());
  CHECK(net.answer(0, "zero"));
  CHECK(net.answer(1, "one"));
  CHECK(net.read() == ok("zero") + ok("one", "Connection: close\r\n"));
  CHECK(net.client.finished());
}

TEST_CASE("http: draining lets a request that has begun to arrive finish", "[http]") {
  client_fixture net;
  net.send("GET /begun HT");
  net.client.drain();
  CHECK_FALSE(net.client.finished());
  net.send("TP/1.1\r\nHost: a\r\n\r\n" + get("/never"));
  CHECK(net.asked == std::vector<std::string>{"GET /begun"});
  CHECK(net.answer(0, "last"));
  CHECK(net.read() == ok("last", "Connection: close\r\n"));
}

TEST_CASE("http: draining ends an idle connection", "[http]") {
  client_fixture net;
  net.client.drain();
  CHECK(net.client.finished());
}

TEST_CASE("http: the requests without an answer are known when the client goes", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1") + get("/2"));
  CHECK(net.answer(1, "one"));
  std::vector<exchange_id> open;
  net.client.for_each_unanswered([&](exchange_id id) { open.push_back(id); });
  CHECK(open == std::vector<exchange_id>{exchange_id{first_id}, exchange_id{first_id + 2}});
}

TEST_CASE("http: a problem's detail is escaped", "[http]") {
  const response out = waggle::front::problem(404, "no \"such\"\nthing\\");
  CHECK(out.content_type == "application/problem+json");
  CHECK(out.body == R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no \"such\"\nthing\\"})");
  CHECK(waggle::front::problem(400, "\xff").body.find("\"detail\":\"\uFFFD\"}") != std::string::npos);
}
