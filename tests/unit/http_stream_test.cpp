#include "support/http_fixture.hpp"

using namespace http_fixture;

namespace {

std::string chunked_head(std::string_view more = "") {
  return "HTTP/1.1 200 OK\r\nDate: " + std::string(date) + "\r\nTransfer-Encoding: chunked\r\n" + std::string(more) + "\r\n";
}

std::string old_head() { return "HTTP/1.1 200 OK\r\nDate: " + std::string(date) + "\r\nConnection: close\r\n\r\n"; }

}  // namespace

TEST_CASE("http: a streamed answer leaves chunk by chunk, and the connection goes on after it", "[http]") {
  client_fixture net;
  net.send(get("/0"));
  CHECK(net.begin(0, {200, "text/event-stream", "first", {{"Cache-Control", "no-store"}}}));
  CHECK(net.read() == "HTTP/1.1 200 OK\r\nDate: " + std::string(date) +
                          "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  CHECK(net.append(0, "a line of more than sixteen"));
  CHECK(net.read() == "1b\r\na line of more than sixteen\r\n");
  CHECK(net.append(0, ""));  // which as a chunk would be the last
  CHECK(net.read().empty());
  CHECK(net.finish(0));
  CHECK(net.read() == "0\r\n\r\n");
  CHECK_FALSE(net.append(0, "late"));
  CHECK_FALSE(net.finish(0));
  net.send(get("/1"));
  CHECK(net.answer(1, "one"));
  CHECK(net.read() == ok("one"));
}

TEST_CASE("http: a streamed answer to HTTP/1.0 lasts until the connection closes", "[http]") {
  client_fixture net;
  net.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(net.begin(0, {200, "", "a", {}}));
  CHECK(net.append(0, "b"));
  CHECK(net.finish(0));
  CHECK(net.read() == old_head() + "ab");
  CHECK(net.client.finished());
  CHECK(net.client.broken() == connection::breach::none);
}

TEST_CASE("http: nothing is read behind an HTTP/1.0 request before its answer", "[http]") {
  client_fixture net;
  const std::string old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  net.send(old + old);
  CHECK(net.asked.size() == 1);
  CHECK(net.answer(0, "zero"));
  CHECK(net.read() == ok("zero", "Connection: keep-alive\r\n"));
  CHECK(net.asked.size() == 2);
  CHECK(net.begin(1, {}));
  net.send(old);
  CHECK(net.finish(1));
  CHECK(net.asked.size() == 2);
  CHECK(net.read() == old_head());
  CHECK(net.client.finished());
}

TEST_CASE("http: HEAD, 204 and 304 finish a streamed answer with its headers", "[http]") {
  client_fixture net;
  net.send("HEAD /0 HTTP/1.1\r\nHost: a\r\n\r\n" + get("/1") + get("/2") + get("/3"));
  CHECK(net.begin(0, {200, "", "not shown", {}}));
  CHECK(net.begin(1, {204, "", "not shown", {}}));
  CHECK(net.begin(2, {304, "", "not shown", {}}));
  for (std::size_t n = 0; n < 3; ++n) CHECK_FALSE(net.append(n, "x"));
  CHECK(net.answer(3, "three"));
  const std::string begin = "\r\nDate: " + std::string(date) + "\r\n\r\n";
  CHECK(net.read() == chunked_head() + "HTTP/1.1 204 No Content" + begin + "HTTP/1.1 304 Not Modified" + begin + ok("three"));
  std::size_t unanswered = 0;
  net.client.for_each_unanswered([&](exchange_id) { ++unanswered; });
  CHECK(unanswered == 0);
}

TEST_CASE("http: a streamed answer waits for the ones before it, whole, and counts as backlog", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1") + get("/2"));
  CHECK(net.begin(1, {200, "", "a", {}}));
  CHECK(net.append(1, "b"));
  CHECK(net.read().empty());
  const std::string so_far = chunked_head() + "1\r\na\r\n1\r\nb\r\n";
  CHECK(net.backlog(1) == so_far.size());
  CHECK(net.client.held_bytes() == so_far.size());
  CHECK_FALSE(net.client.take_room());
  CHECK(net.answer(2, "two"));
  CHECK(net.answer(0, "zero"));
  CHECK(net.read() == ok("zero") + so_far);
  CHECK(net.backlog(1) == 0);
  CHECK(net.client.take_room() == net.id(1));
  CHECK(net.append(1, "c"));
  CHECK(net.read() == "1\r\nc\r\n");
  CHECK(net.finish(1));
  CHECK(net.read() == "0\r\n\r\n" + ok("two"));
}

TEST_CASE("http: streamed answers that are finished before their turn leave whole", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1") + get("/2"));
  for (const std::size_t n : {2, 1, 0}) {
    CHECK(net.begin(n, {200, "", std::to_string(n), {}}));
    CHECK(net.finish(n));
  }
  std::string expected;
  for (const std::string n : {"0", "1", "2"}) expected += chunked_head() + "1\r\n" + n + "\r\n0\r\n\r\n";
  CHECK(net.read() == expected);
}

TEST_CASE("http: an answer is whole or streamed, never both", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1"));
  CHECK_FALSE(net.append(0, "before the begin"));
  CHECK_FALSE(net.finish(0));
  CHECK(net.begin(0, {}));
  CHECK_FALSE(net.begin(0, {}));
  CHECK_FALSE(net.answer(0, "whole"));
  CHECK(net.answer(1, "whole"));
  CHECK_FALSE(net.begin(1, {}));
  CHECK_FALSE(net.append(1, "x"));
  CHECK_FALSE(net.abort(1));
  CHECK_FALSE(net.begin(7, {}));
  CHECK(net.finish(0));
  CHECK(net.read() == chunked_head() + "0\r\n\r\n" + ok("whole"));
}

TEST_CASE("http: a streamed answer's head that cannot be sent becomes a whole 500", "[http]") {
  client_fixture net;
  net.send(get("/0"));
  CHECK(net.begin(0, {200, "", "body", {{"X", "a\r\nb"}}}));
  CHECK_FALSE(net.append(0, "more"));
  const std::string out = net.read();
  CHECK(starts_with(out, "HTTP/1.1 500 "));
  CHECK_FALSE(contains(out, "more"));
}

TEST_CASE("http: room is reported once below half of the bound, and once when all is written", "[http]") {
  client_fixture net;
  net.context.bounds.output_bytes_max = 1000;
  net.send(get("/0"));
  CHECK(net.begin(0, {}));
  net.read();
  CHECK(net.client.take_room() == net.id(0));
  CHECK_FALSE(net.client.take_room());
  CHECK(net.append(0, std::string(900, 'x')));
  CHECK_FALSE(net.client.take_room());
  net.client.written(net.now, 400);
  CHECK(net.backlog(0) >= 500);
  CHECK_FALSE(net.client.take_room());
  net.client.written(net.now, 20);
  CHECK(net.backlog(0) < 500);
  CHECK(net.client.take_room() == net.id(0));
  CHECK_FALSE(net.client.take_room());
  net.client.written(net.now, 100);
  CHECK_FALSE(net.client.take_room());
  net.read();
  CHECK(net.client.take_room() == net.id(0));
  CHECK_FALSE(net.client.take_room());
  // However small the bound, there is room once all is written.
  net.context.bounds.output_bytes_max = 1;
  CHECK(net.append(0, "x"));
  CHECK_FALSE(net.client.take_room());
  net.read();
  CHECK(net.client.take_room() == net.id(0));
}

TEST_CASE("http: a stream that is fed past its bound ends the connection, in its turn or before", "[http]") {
  for (const std::size_t n : {0, 1}) {
    client_fixture net;
    net.context.bounds.stream_bytes_max = 1000;
    net.send(get("/0") + get("/1"));
    CHECK(net.begin(n, {}));
    int appended = 0;
    while (appended < 100 && net.append(n, std::string(100, 'x'))) ++appended;
    CHECK(appended >= 8);
    CHECK(appended <= 10);
    CHECK(net.client.overrun());
    CHECK(net.client.held_bytes() < 1200);
    CHECK(net.backlog(n) == 0);
    std::vector<exchange_id> told;
    net.client.for_each_unanswered([&](exchange_id id) { told.push_back(id); });
    CHECK(told == std::vector<exchange_id>{net.id(1 - n)});
  }
}

TEST_CASE("http: an aborted answer has no last chunk, and nothing follows it", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1") + get("/2"));
  CHECK(net.answer(1, "one"));
  CHECK(net.begin(0, {200, "", "part", {}}));
  CHECK(net.abort(0));
  CHECK_FALSE(net.append(0, "more"));
  CHECK_FALSE(net.finish(0));
  CHECK_FALSE(net.answer(2, "two"));
  CHECK_FALSE(net.client.finished());
  net.send(get("/never"));
  CHECK(net.read() == chunked_head() + "4\r\npart\r\n");
  CHECK(net.client.finished());
  CHECK(net.client.broken() == connection::breach::close);
  CHECK(net.asked.size() == 3);
}

TEST_CASE("http: an answer aborted before its turn breaks the connection in its turn", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1"));
  CHECK(net.begin(1, {200, "", "part", {}}));
  CHECK(net.abort(1));
  CHECK(net.client.broken() == connection::breach::none);
  CHECK(net.answer(0, "zero"));
  CHECK(net.read() == ok("zero") + chunked_head() + "4\r\npart\r\n");
  CHECK(net.client.finished());
}

TEST_CASE("http: an aborted answer to HTTP/1.0 asks for a reset, since a proper end would make it whole", "[http]") {
  client_fixture net;
  net.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(net.begin(0, {200, "", "part", {}}));
  CHECK(net.abort(0));
  CHECK(net.client.broken() == connection::breach::reset);
}

TEST_CASE("http: a stream may be quiet for a day, and is not timed out by what is not read", "[http]") {
  client_fixture net;
  for (const std::string_view fields : {"", "Connection: close\r\n"}) {
    client_fixture quiet;
    quiet.send(get("/0", fields));
    CHECK(quiet.begin(0, {}));
    quiet.read();
    CHECK(quiet.client.wants_read());  // the client's going must be noticed
    CHECK(quiet.client.next_deadline() == instant::max());
    CHECK(quiet.advance(24h) == keep);
    CHECK(quiet.append(0, "x"));
    CHECK(quiet.client.next_deadline() == quiet.now + 30s);
    CHECK(quiet.read() == "1\r\nx\r\n");
  }
}

TEST_CASE("http: a client that takes nothing of a stream for the stall time is closed", "[http]") {
  client_fixture net;
  net.send(get("/0"));
  CHECK(net.begin(0, {}));
  net.read();
  CHECK(net.advance(1h) == keep);
  CHECK(net.append(0, "x"));
  CHECK(net.advance(20s) == keep);
  CHECK(net.append(0, "y"));  // which is no sign of the client
  CHECK(net.advance(9'999ms) == keep);
  CHECK(net.advance(1ms) == close_now);
}

TEST_CASE("http: a client that has ended its side gets its stream while that speaks, and is let go when it is quiet", "[http]") {
  client_fixture net;
  net.send(get("/0"));
  CHECK(net.begin(0, {}));
  net.read();
  CHECK(net.advance(1h) == keep);
  net.end();
  CHECK_FALSE(net.client.finished());
  for (int i = 0; i < 10; ++i) {
    CHECK(net.advance(9s) == keep);
    CHECK(net.append(0, "x"));
    CHECK(net.read() == "1\r\nx\r\n");
  }
  CHECK(net.client.next_deadline() == net.now + 10s);
  CHECK(net.advance(9'999ms) == keep);
  CHECK(net.advance(1ms) == close_now);
}

TEST_CASE("http: bytes that make no sense behind a stream are refused after it", "[http]") {
  client_fixture net;
  net.send(get("/0"));
  CHECK(net.begin(0, {}));
  net.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n" + get("/smuggled"));
  CHECK(net.asked.size() == 1);
  CHECK(net.client.next_deadline() == net.now + 30s);
  CHECK(net.read() == chunked_head());
  CHECK(net.client.next_deadline() == instant::max());
  CHECK(net.append(0, "x"));
  CHECK(net.finish(0));
  const std::string out = net.read();
  CHECK(starts_with(out, "1\r\nx\r\n0\r\n\r\nHTTP/1.1 400 "));
  CHECK(net.client.finished());
}

TEST_CASE("http: a stream is among the unanswered until it is finished", "[http]") {
  client_fixture net;
  net.send(get("/0") + get("/1"));
  CHECK(net.begin(1, {}));
  const auto unanswered = [&] {
    std::size_t count = 0;
    net.client.for_each_unanswered([&](exchange_id) { ++count; });
    return count;
  };
  CHECK(unanswered() == 2);
  CHECK(net.begin(0, {}));
  CHECK(unanswered() == 2);
  CHECK(net.finish(1));
  CHECK(unanswered() == 1);
  CHECK(net.finish(0));
  CHECK(unanswered() == 0);
}

TEST_CASE("http: once the server is closing each answer is the last, but what has begun to arrive is taken", "[http]") {
  client_fixture net;
  net.send(get("/0"));
  net.context.closing = true;
  CHECK(net.answer(0, "zero"));
  CHECK(net.read() == ok("zero", "Connection: close\r\n"));
  CHECK(net.client.finished());

  client_fixture fresh;
  fresh.context.closing = true;
  CHECK_FALSE(fresh.client.finished());
  fresh.send(get("/0") + get("/1"));
  CHECK(fresh.asked.size() == 1);
  CHECK(fresh.begin(0, {}));
  CHECK(fresh.finish(0));
  CHECK(fresh.read() == chunked_head("Connection: close\r\n") + "0\r\n\r\n");

  client_fixture amid;
  amid.send(get("/0") + "GET /1 HT");
  amid.context.closing = true;
  CHECK(amid.answer(0, "zero"));
  amid.send("TP/1.1\r\nHost: a\r\n\r\n");
  CHECK(amid.answer(1, "one"));
  CHECK(amid.read() == ok("zero") + ok("one", "Connection: close\r\n"));
}
