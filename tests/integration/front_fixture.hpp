#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/front/server.hpp"
#include "support/tls_fixture.hpp"

/// A server with an application that obeys its clients, and clients that wait for a condition but not for ever.
namespace front_fixture {

using namespace std::chrono_literals;
using namespace waggle::front;

inline constexpr auto patience = 10s;

/// What the applications of a server's threads tell the test.
struct board {
  template <typename Change>
  void change(Change&& with) {
    const std::lock_guard hold(mutex);
    with();
    changed.notify_all();
  }
  template <typename Condition>
  bool wait(Condition&& until) {
    std::unique_lock hold(mutex);
    return changed.wait_for(hold, patience, until);
  }
  template <typename Condition>
  bool wait_for(std::chrono::milliseconds longest, Condition&& until) {
    std::unique_lock hold(mutex);
    return changed.wait_for(hold, longest, until);
  }

  std::mutex mutex;
  std::condition_variable changed;
  int made = 0, destroyed = 0, drained = 0, closing = 0, in_flight = 0;
  std::set<std::thread::id> made_in, destroyed_in;
  std::vector<std::string> asked;
  int abandoned = 0;
  std::uint64_t events_read = 0, second_events_read = 0;
  int deadlines = 0;
  int notified = 0, streams = 0;
  bool holding = false, let_go = false;
  std::size_t backlog_max = 0, appended = 0;
};

/// Paths are orders: /echo answers with the body, /wait waits for the test's word (written to the eventfd) and then
/// answers everything that waits, the last first; /keep is answered with how many of its kind are when it leaves, and the first is kept back until the test
/// lets the thread go on; /peer says who asks; /size/N answers N bytes; /throw throws; /hold keeps the thread
/// until the test lets it go; /deadline answers 20 ms
/// later. Streamed: /pour/N is N bytes as fast as there is room; /open says "open", "tick" with each word of the test's,
/// and ends with the request /shut; /endless is one that ends when the server closes; /flood appends whether there is room or not; /break aborts; /begin-throw throws.
class toy final : public application {
 public:
  toy(responder& out, board& notes, int event, int second_event = -1) : out_(out), notes_(notes), event_(event), second_event_(second_event) {
    notes_.change([&] {
      ++notes_.made;
      notes_.made_in.insert(std::this_thread::get_id());
    });
  }
  ~toy() override {
    notes_.change([&] {
      ++notes_.destroyed;
      notes_.destroyed_in.insert(std::this_thread::get_id());
    });
  }

  void on_request(instant now, exchange_id id, const request& in) override {
    const std::string path(in.path);
    if (path == "/wait") {
      waiting_.emplace_back(id, std::string(in.query));
    } else if (path == "/keep") {
      kept_.push_back(id);
    } else if (path == "/deadline") {
      due_ = now + 20ms;
      due_id_ = id;
    } else if (path == "/throw") {
      throw std::runtime_error("a secret");
    } else if (path.rfind("/pour/", 0) == 0) {
      out_.begin(id, {200, "text/plain", "", {}});
      pouring_.emplace_back(id, std::stoul(path.substr(6)));
      pour(pouring_.back());
    } else if (path == "/open") {
      out_.begin(id, {200, "text/plain", "open", {}});
      open_.push_back(id);
    } else if (path == "/endless") {
      out_.begin(id, {200, "text/plain", "begun", {}});
      endless_.push_back(id);
    } else if (path == "/shut") {
      for (const exchange_id each : std::exchange(open_, {})) out_.finish(each);
      answer(id, "shut");
    } else if (path == "/flood") {
      out_.begin(id, {});
      const std::string much(65536, 'x');
      std::size_t appended = 0;
      while (out_.append(id, much)) appended += much.size();
      notes_.change([&] { notes_.appended = appended; });
    } else if (path == "/break" || path == "/begin-throw") {
      out_.begin(id, {200, "text/plain", "part", {}});
      if (path == "/begin-throw") throw std::runtime_error("a secret");
      out_.abort(id);
    } else if (path.rfind("/size/", 0) == 0) {
      answer(id, std::string(std::stoul(path.substr(6)), 'x'));
    } else if (path == "/hold") {
      notes_.change([&] { notes_.holding = true; });
      notes_.wait([&] { return notes_.let_go; });
      answer(id, "let go");
    } else if (path == "/peer") {
      answer(id, in.from->address + (in.from->encrypted ? " over TLS" : "") + (in.is_http10 ? " HTTP/1.0" : " HTTP/1.1") +
                     (in.from->certificate ? " " + in.from->certificate->subject : ""));
    } else if (path == "/echo") {
      answer(id, std::string(in.body));
    } else {
      answer(id, path);
    }
    notes_.change([&] {
      notes_.asked.push_back(path);
      notes_.in_flight = static_cast<int>(waiting_.size());
      notes_.streams = static_cast<int>(open_.size());
    });
  }
  void on_room(instant, exchange_id id) override {
    for (auto& each : pouring_) {
      if (each.first == id) return pour(each);
    }
  }
  bool on_batch_end(instant, bool last) override {
    if (kept_.size() == 1 && !last) {
      notes_.change([&] { notes_.holding = true; });
      notes_.wait([&] { return notes_.let_go; });
      return true;
    }
    for (const exchange_id each : kept_) answer(each, std::to_string(kept_.size()));
    kept_.clear();
    return false;
  }
  void on_notified(instant) override {
    notes_.change([&] { ++notes_.notified; });
  }
  void on_abandoned(instant, exchange_id id) override {
    std::erase_if(waiting_, [&](const auto& one) { return one.first == id; });
    std::erase_if(pouring_, [&](const auto& one) { return one.first == id; });
    std::erase(open_, id);
    notes_.change([&] {
      ++notes_.abandoned;
      notes_.streams = static_cast<int>(open_.size());
      notes_.in_flight = static_cast<int>(waiting_.size());
    });
  }
  [[nodiscard]] int descriptor() const override { return event_; }
  [[nodiscard]] int second_descriptor() const override { return second_event_; }
  void on_readable(instant) override {
    eventfd_t count = 0;
    if (::eventfd_read(second_event_, &count) == 0) notes_.change([&] { notes_.second_events_read += count; });
    if (::eventfd_read(event_, &count) != 0) return;
    for (auto at = waiting_.rbegin(); at != waiting_.rend(); ++at) answer(at->first, at->second);
    waiting_.clear();
    for (const exchange_id each : open_) out_.append(each, "tick");
    notes_.change([&] {
      notes_.events_read += count;
      notes_.in_flight = 0;
    });
  }
  [[nodiscard]] instant next_deadline() const override { return due_; }
  void on_deadline(instant) override {
    due_ = instant::max();
    answer(due_id_, "deadline");
    notes_.change([&] { ++notes_.deadlines; });
  }
  void on_drain(instant) override {
    notes_.change([&] { ++notes_.drained; });
  }
  void on_closing(instant) override {
    for (const exchange_id each : std::exchange(endless_, {})) out_.finish(each);
    notes_.change([&] { ++notes_.closing; });
  }

 private:
  void pour(std::pair<exchange_id, std::size_t>& what) {
    auto& [id, left] = what;
    std::size_t backlog = 0;
    const std::size_t before = left;
    while (left > 0 && (backlog = out_.backlog(id)) < 64 * 1024) {
      const std::size_t size = std::min<std::size_t>(left, 16 * 1024);
      if (!out_.append(id, std::string(size, 'x'))) return;
      left -= size;
      if (left == 0) out_.finish(id);
    }
    notes_.change([&] {
      notes_.backlog_max = std::max(notes_.backlog_max, backlog);
      notes_.appended += before - left;
    });
  }
  void answer(exchange_id id, std::string body) { out_.respond(id, {200, "text/plain", std::move(body), {}}); }

  responder& out_;
  board& notes_;
  const int event_, second_event_;
  std::vector<std::pair<exchange_id, std::string>> waiting_;
  std::vector<std::pair<exchange_id, std::size_t>> pouring_;  // and how many bytes are to come
  std::vector<exchange_id> open_, endless_, kept_;
  instant due_ = instant::max();
  exchange_id due_id_{};
};

struct toy_server {
  explicit toy_server(unsigned threads = 1, limits bounds = {}, bool tls = false)
      : event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        second_event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        front(options(threads, bounds, tls), [this](responder& out) {
          return std::make_unique<toy>(out, notes, event.get(), second_event.get());
        }) {
    front.start();
  }

  server_options options(unsigned threads, limits bounds, bool tls = false) {
    server_options out;
    out.listen.front().tls = tls;
    if (tls) out.tls = tls_fixture::context();
    out.threads = threads;
    out.bounds = bounds;
    out.log = [this](std::string_view line) { notes.change([&] { lines.emplace_back(line); }); };
    return out;
  }
  [[nodiscard]] std::uint16_t port() const {
    const std::string at = front.endpoint();
    return static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
  }
  void release() { ::eventfd_write(event.get(), 1); }

  board notes;
  std::vector<std::string> lines;
  unique_fd event, second_event;
  server front;
};

/// A blocking client with a time limit on every read.
class client {
 public:
  explicit client(std::uint16_t port, int receive_buffer = 0, bool tls = false) : client(port, receive_buffer, tls, {}) {}
  /// One that speaks TLS as it is told.
  client(std::uint16_t port, const tls_fixture::client_wish& how) : client(port, 0, true, how) {}

  client(std::uint16_t port, int receive_buffer, bool tls, const tls_fixture::client_wish& how) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    if (!tls) return;
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets without saying that it wants none
    const timeval longest{std::chrono::seconds(patience).count(), 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    context_ = tls_fixture::client_context(how);
    tls_ = tls_fixture::client_session(context_.get(), how);
    SSL_set_fd(tls_.get(), fd_.get());
    connected_ = connected_ && SSL_connect(tls_.get()) == 1;
  }

  /// With TLS, also that the handshake has succeeded.
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] SSL* tls() const { return tls_.get(); }
  [[nodiscard]] int descriptor() const { return fd_.get(); }
  /// Of TLS: whether the server has said that nothing more comes.
  [[nodiscard]] bool was_ended_properly() const { return (SSL_get_shutdown(tls_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
  bool send(std::string_view bytes) {
    if (tls_) return SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }
  /// Sends what fits without waiting, and says how much that was.
  std::size_t send_what_fits(std::string_view bytes) {
    if (tls_) {
      SSL_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
      ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
      const int size = SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
      ::fcntl(fd_.get(), F_SETFL, 0);
      return size < 0 ? 0 : static_cast<std::size_t>(size);
    }
    const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return size < 0 ? 0 : static_cast<std::size_t>(size);
  }
  bool wait(short events) {
    pollfd one{fd_.get(), events, 0};
    return ::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
  }
  /// Something can be read now.
  [[nodiscard]] bool has_input() const {
    pollfd one{fd_.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
  }
  /// One whole answer (by its length), or what came before the end of the connection.
  std::string read() {
    for (;;) {
      const std::size_t head = buffer_.find("\r\n\r\n");
      if (head != std::string::npos) {
        const std::size_t at = buffer_.find("Content-Length: ");
        const std::size_t size = at < head ? std::stoul(buffer_.substr(at + 16)) : 0;
        if (buffer_.size() >= head + 4 + size) {
          const std::string out = buffer_.substr(0, head + 4 + size);
          buffer_.erase(0, out.size());
          return out;
        }
      }
      if (!more()) return std::exchange(buffer_, {});
    }
  }
  std::string read_body() {
    const std::string all = read();
    const std::size_t at = all.find("\r\n\r\n");
    return at == std::string::npos ? "" : all.substr(at + 4);
  }
  std::string read_to_end() {
    while (more()) {
    }
    return std::exchange(buffer_, {});
  }
  /// What comes up to and with `text`, or before the end of the connection.
  std::string read_until(std::string_view text) {
    std::size_t at;
    while ((at = buffer_.find(text)) == std::string::npos) {
      if (!more()) return std::exchange(buffer_, {});
    }
    const std::string out = buffer_.substr(0, at + text.size());
    buffer_.erase(0, out.size());
    return out;
  }
  /// Whether the connection was reset rather than ended.
  [[nodiscard]] bool was_reset() const { return reset_; }
  /// Whether the server ends the connection in time, with nothing more to read.
  bool ended() { return read_to_end().empty() && !timed_out_; }
  void end_sending() {
    if (tls_) {
      SSL_shutdown(tls_.get());
    } else {
      ::shutdown(fd_.get(), SHUT_WR);
    }
  }
  void reset() {
    const linger abort{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    fd_.reset();
  }

 private:
  bool more() {
    if (!(tls_ && SSL_pending(tls_.get()) > 0) && !wait(POLLIN)) {
      timed_out_ = true;
      return false;
    }
    char bytes[65536];
    errno = 0;
    const ssize_t size = tls_ ? SSL_read(tls_.get(), bytes, sizeof bytes) : ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (size < 0) reset_ = errno == ECONNRESET;
    if (size <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }

  unique_fd fd_;
  tls_fixture::ssl_ctx_ptr context_;
  tls_fixture::ssl_ptr tls_;
  bool connected_ = false;
  bool timed_out_ = false;
  bool reset_ = false;
  std::string buffer_;
};

inline std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

/// The body of a chunked answer, and nothing if it is not whole.
inline std::string unchunked(std::string_view answer) {
  std::string out;
  std::size_t at = answer.find("\r\n\r\n");
  if (at == std::string_view::npos) return {};
  for (at += 4;;) {
    const std::size_t end = answer.find("\r\n", at);
    if (end == std::string_view::npos) return {};
    const std::size_t size = std::stoul(std::string(answer.substr(at, end - at)), nullptr, 16);
    if (answer.size() < end + 4 + size) return {};
    if (size == 0) return out;
    out += answer.substr(end + 2, size);
    at = end + 4 + size;
  }
}

inline std::string numbered(int i) { return std::string("/").append(std::to_string(i)); }

inline bool is(std::string_view answer, int status) {
  return answer.substr(0, 13) == "HTTP/1.1 " + std::to_string(status) + " ";
}

}  // namespace front_fixture
