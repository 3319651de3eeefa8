#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/front/connection.hpp"
#include "support/catch.hpp"

/// One connection, and what a client and an application do with it, in virtual time.
namespace http_fixture {

using namespace std::chrono_literals;
using waggle::front::connection;
using waggle::front::connection_context;
using waggle::front::exchange_id;
using waggle::front::instant;
using waggle::front::response;

inline constexpr std::uint64_t first_id = 100;
inline constexpr std::string_view date = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A connection in virtual time, with an application that only notes what it is asked.
struct client_fixture {
  client_fixture() { context.date = date; }

  void send(std::string_view bytes) {
    client.receive(now, bytes);
    take();
  }
  void end() {
    client.receive_end(now);
    take();
  }
  void take() {
    while (const auto* in = client.next(now)) {
      asked.push_back(std::string(in->method) + " " + std::string(in->path));
      CHECK(client.last_id() == exchange_id{first_id + asked.size() - 1});
    }
  }
  /// Answers the n-th request, counted from 0.
  bool answer(std::size_t n, response with) { return client.respond(now, exchange_id{first_id + n}, with); }
  bool answer(std::size_t n, std::string body) { return answer(n, {200, "", std::move(body), {}}); }
  // A streamed answer to the n-th.
  bool begin(std::size_t n, response head = {}) { return client.begin(now, id(n), head); }
  bool append(std::size_t n, std::string_view bytes) { return client.append(now, id(n), bytes); }
  bool finish(std::size_t n) { return client.finish(now, id(n)); }
  bool abort(std::size_t n) { return client.abort(now, id(n)); }
  [[nodiscard]] std::size_t backlog(std::size_t n) const { return client.backlog(id(n)); }
  [[nodiscard]] static exchange_id id(std::size_t n) { return exchange_id{first_id + n}; }

  /// What the client would read now; the rest of the pipe is empty afterwards.
  std::string read() {
    std::string out(client.output());
    if (!out.empty()) client.written(now, out.size());
    if (client.can_resume()) take();
    return out;
  }
  connection::tick_result advance(std::chrono::milliseconds by) {
    now += by;
    return client.tick(now);
  }

  connection_context context;
  instant now{1h};
  connection client{context, first_id, now};
  std::vector<std::string> asked;
};

inline std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

inline std::string ok(std::string_view body, std::string_view more = "") {
  return "HTTP/1.1 200 OK\r\nDate: " + std::string(date) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(more) + "\r\n" + std::string(body);
}

inline bool starts_with(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }
inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

inline constexpr auto keep = connection::tick_result::keep;
inline constexpr auto close_now = connection::tick_result::close;

}  // namespace http_fixture
