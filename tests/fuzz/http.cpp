// The HTTP front's parser and connection. The input is four bytes that choose how the rest is split, answered, read and timed, and
// then what a client sends. A parser that gets it whole is the reference for one that gets it in pieces and for a connection,
// whose answers are read by a reader of their own.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/utf8.hpp>

#include "gateway/front/connection.hpp"
#include "gateway/routes/decode.hpp"
#include "tests/fuzz/answers.hpp"
#include "tests/fuzz/require.hpp"

using namespace std::chrono_literals;
using namespace waggle::front;
using waggle::fuzz::require;

namespace {

using random_source = std::minstd_rand;

std::size_t below(random_source& random, std::size_t end) { return random() % end; }

limits tight_limits() {
  limits out;
  out.header_bytes_max = 300;
  out.fields_max = 8;
  out.target_bytes_max = 100;
  out.body_bytes_max = 100;
  out.chunk_extension_bytes_max = 16;
  out.unanswered_max = 4;
  out.output_bytes_max = 500;
  out.stream_bytes_max = 800;
  return out;
}

/// What a request is, as one text that two readings of it can be compared by.
std::string text_of(const request& in) {
  std::string out{in.method};
  out.append(" ").append(in.path).append("?").append(in.query).append("\n");
  for (const auto& [name, value] : in.headers) out.append(name).append(":").append(value).append("\n");
  return out.append("\n").append(in.body);
}

/// What must be true of any request that is let through.
void check_request(const limits& bounds, const request& in) {
  require(in.path.size() + in.query.size() <= bounds.target_bytes_max, "the target is within its limit");
  require(in.headers.size() <= bounds.fields_max, "the fields are within their limit");
  require(in.body.size() <= bounds.body_bytes_max, "the body is within its limit");
  require(!in.method.empty() && !in.path.empty() && (in.path[0] == '/' || in.path == "*"), "a request has a method and a path");
  std::size_t hosts = 0, lengths = 0, codings = 0;
  for (const auto& [name, value] : in.headers) {
    require(!name.empty() && name.find_first_of(std::string_view{" \t\r\n:\0", 6}) == name.npos, "a field's name is a name");
    require(value.find_first_of(std::string_view{"\r\n\0", 3}) == value.npos, "a value is on one line");
    std::string lower{name};
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
    hosts += lower == "host";
    lengths += lower == "content-length";
    codings += lower == "transfer-encoding";
  }
  require(hosts <= 1 && codings <= 1 && (lengths == 0 || codings == 0), "a request has one host and one end");
  if (in.path == "*") return;
  const waggle::gateway::decoded_path path{in.path};
  for (std::size_t i = 0; path.why() == nullptr && i < path.size(); ++i) {
    const auto segment = path[i];
    require(segment != "." && segment != ".." && segment.find('\0') == segment.npos && waggle::wire::is_utf8(segment),
            "a segment of a path that is let through leads nowhere else");
  }
  const waggle::gateway::decoded_query query{in.query};
  std::size_t decoded = 0;
  for (const auto& [name, value] : query.parameters()) decoded += name.size() + value.size();
  require(decoded <= in.query.size() && query.parameters().size() <= waggle::gateway::query_parameters_max,
          "a query does not grow by being decoded");
}

struct reading {
  std::vector<std::string> requests;
  std::vector<bool> heads;
  int error = 0;
  void take(const limits& bounds, http_parser& from) {
    for (;;) {
      const auto verdict = from.next();
      if (verdict == http_parser::verdict::need_more) break;
      if (verdict == http_parser::verdict::error) {
        require(error == 0 || error == from.error().status, "an error stays what it is");
        error = from.error().status;
        break;
      }
      require(error == 0, "no request comes behind an error");
      check_request(bounds, from.current());
      requests.push_back(text_of(from.current()));
      heads.push_back(from.is_head());
    }
    require(from.buffered_bytes() <= bounds.header_bytes_max + bounds.body_bytes_max + bounds.chunk_extension_bytes_max + 64,
            "a parser keeps no more than one request");
  }
};

/// An application and a client on either end of a connection, which do as the random source says.
class session {
 public:
  session(const limits& bounds, random_source& random, const reading& reference) : random_{random}, reference_{reference} {
    context_.bounds = bounds;
    context_.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  }

  void play(std::string_view bytes) {
    while (!bytes.empty() && !gone_) {
      const std::size_t size = std::min(bytes.size(), 1 + below(random_, 1 + below(random_, 200)));
      if (client_.wants_read()) {
        client_.receive(now_, bytes.substr(0, size));
        bytes.remove_prefix(size);
      } else if (client_.finished()) {
        break;
      }
      take();
      act();
    }
    if (!gone_ && below(random_, 2) == 0) {
      client_.receive_end(now_);
      take();
    }
    for (int i = 0; i < 1000 && !gone_ && !(client_.output().empty() && open_.empty()); ++i) act();
    check_output();
  }

 private:
  enum class kind { whole, streamed, aborted, refused };
  struct exchange {
    exchange_id id;
    std::string body;  // what was said so far
    bool begun = false, done = false, has_body = true;
    kind of = kind::whole;
  };

  void take() {
    while (const request* in = client_.next(now_)) {
      require(asked_ < reference_.requests.size() && text_of(*in) == reference_.requests[asked_],
              "a connection gives the requests that are there, in their order");
      ++asked_;
      all_.push_back({client_.last_id(), {}, false, false, true, kind::whole});
      open_.push_back(all_.size() - 1);
    }
    require(open_.size() <= context_.bounds.unanswered_max, "no more is asked than may be unanswered");
    require(client_.held_bytes() <= 20'000, "a connection holds a bounded number of bytes");
  }

  /// One thing that the application, the client or the clock does.
  void act() {
    switch (below(random_, 6)) {
      case 0:
      case 1:
        return answer();
      case 2:
      case 3:
        return read();
      case 4:
        now_ += std::chrono::milliseconds{below(random_, 3) == 0 ? below(random_, 20'000) : below(random_, 100)};
        if (client_.tick(now_) == connection::tick_result::close) gone_ = true;
        return;
      default:
        if (client_.overrun()) gone_ = true;
        if (below(random_, 40) == 0) client_.drain();
        if (below(random_, 40) == 0) context_.closing = true;
        return take();
    }
  }

  void answer() {
    if (open_.empty()) return;
    const std::size_t at = below(random_, open_.size());
    exchange& to = all_[open_[at]];
    const auto end = [&](kind of) {
      to.of = of;
      to.done = true;
      open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
    };
    response with{};
    with.body.assign(below(random_, 300), static_cast<char>('a' + below(random_, 26)));
    if (below(random_, 10) == 0) with.headers.emplace_back("Connection", "close");
    if (below(random_, 10) == 0) with.headers.emplace_back("Content-Length", "1");
    const bool alive = client_.broken() == connection::breach::none;
    if (!to.begun && below(random_, 2) == 0) {
      to.body = with.body;
      const bool taken = client_.respond(now_, to.id, with);
      require(taken == alive, "an open request can be answered");
      return end(taken ? kind::whole : kind::refused);
    }
    if (!to.begun) {
      to.begun = client_.begin(now_, to.id, with);
      require(to.begun == alive, "an open request's answer can begin");
      if (!to.begun) return end(kind::refused);
      to.of = kind::streamed;
      to.body = with.body;
      if (!reference_.heads[open_[at]]) return;
      require(!client_.append(now_, to.id, "x"), "an answer to HEAD is over with its headers");
      return end(kind::streamed);
    }
    switch (below(random_, 4)) {
      case 0:
        if (!client_.finish(now_, to.id)) to.has_body = false;
        return end(kind::streamed);
      case 1:
        if (below(random_, 4) == 0) {
          if (!client_.abort(now_, to.id)) to.has_body = false;
          return end(kind::aborted);
        }
        [[fallthrough]];
      default:
        if (!client_.append(now_, to.id, with.body)) {
          to.has_body = false;
          if (client_.overrun()) gone_ = true;
          return end(kind::aborted);
        }
        to.body += with.body;
        require(client_.backlog(to.id) <= client_.held_bytes(), "a backlog is part of what is held");
    }
  }

  void read() {
    const auto output = client_.output();
    if (output.empty()) return;
    const std::size_t size = 1 + below(random_, output.size());
    got_.append(output.substr(0, size));
    client_.written(now_, size);
    [[maybe_unused]] const auto room = client_.take_room();
    if (client_.can_resume()) take();
  }

  /// Answers come in the order of the requests, each whole unless it is the last, and nothing is behind them but what the
  /// front itself refuses with.
  void check_output() {
    const bool ended = client_.finished() && client_.output().empty();
    // The client has not read to the end, or there is none: the last of what it has may be no whole head or chunk.
    const bool is_cut = gone_ || !client_.output().empty() || client_.broken() != connection::breach::none;
    std::string_view left = got_;
    std::size_t n = 0;
    for (;; ++n) {
      waggle::fuzz::take_interim(left);
      if (left.empty()) break;
      const bool is_asked = n < all_.size();
      const bool is_head = is_asked && reference_.heads[n];
      const auto got = waggle::fuzz::take_answer(left, is_head, ended);
      if (!got) return require(is_cut, "what is written is answers");
      if (!is_asked) {
        require(n == all_.size() && got->status >= 400 && got->closes && left.empty(),
                "the front says at most one thing itself, and it is the last");
        continue;
      }
      const exchange& of = all_[n];
      if (!got->whole) return require(left.empty() && (of.of != kind::whole || is_cut), "an answer that is cut off is the last");
      require(of.of != kind::aborted || !of.has_body || is_head || got->closes, "an aborted answer does not look whole");
      if (of.done && of.has_body && !is_head && of.of <= kind::streamed) {
        require(got->body == of.body, "an answer is what was said");
      }
    }
    if (ended && client_.broken() == connection::breach::none) {
      require(n >= all_.size(), "a connection that has finished has answered all it was asked");
    }
  }

  random_source& random_;
  const reading& reference_;
  connection_context context_;
  instant now_ = instant{} + 1h;
  connection client_{context_, 1000, now_};
  std::vector<exchange> all_;
  std::vector<std::size_t> open_;
  std::size_t asked_ = 0;
  std::string got_;
  bool gone_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint32_t seed = 1;
  if (size < sizeof seed) return 0;
  std::memcpy(&seed, data, sizeof seed);
  const std::string_view bytes{reinterpret_cast<const char*>(data) + sizeof seed, size - sizeof seed};
  random_source random{seed};
  const limits bounds = tight_limits();

  reading whole;
  http_parser at_once{bounds};
  at_once.feed(bytes);
  whole.take(bounds, at_once);

  reading pieces;
  http_parser in_pieces{bounds};
  for (auto left = bytes; !left.empty();) {
    const std::size_t part = std::min(left.size(), 1 + below(random, 1 + below(random, 40)));
    in_pieces.feed(left.substr(0, part));
    pieces.take(bounds, in_pieces);
    left.remove_prefix(part);
  }
  require(pieces.requests == whole.requests && pieces.error == whole.error && in_pieces.where() == at_once.where(),
          "how bytes are split changes nothing");

  session{bounds, random, whole}.play(bytes);
  return 0;
}
