#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

/// The load that `tools/bench/events` puts on waggle and on NATS: the same, through one interface that each program fills with its own
/// client library.
namespace bench {

/// Every event's payload: the events of the load are told apart by the eight bytes at its end.
inline constexpr std::size_t payload_bytes = 256;

/// One of the two. Its functions throw what has a `what()` when the system does not do what it should.
class network {
 public:
  virtual ~network() = default;

  /// Many emits will be under way at a time: their rate counts, and not each one's delay. Before everything else.
  virtual void expect_many() {}
  /// Emits an event that is kept. Any thread.
  virtual void emit(std::string_view text) = 0;
  /// Told of each receipt (true) or refusal, on threads of the library's own. Set before the first `emit`.
  std::function<void(bool)> on_receipt;

  /// Publishes an event that is not kept, without waiting for anything. One thread.
  virtual void publish(std::string_view text) = 0;
  /// Sends what the library still holds back of it.
  virtual void flush() {}

  using taker = std::function<void(std::string_view text)>;
  /// Subscribes to what is published, with a connection of its own, until the result is destroyed. It is in force on return.
  virtual std::shared_ptr<void> subscribe(taker on_event) = 0;
  /// Handles what is emitted, as the only member of a group, until the result is destroyed: `on_event` returns, and the event is acknowledged.
  virtual std::shared_ptr<void> handle(taker on_event) = 0;
};

/// `payload_bytes` less what the library puts around it, with a number at the end.
class text {
 public:
  explicit text(std::size_t overhead = 0) : bytes_(payload_bytes - overhead, 'x') {}
  std::string_view with(std::uint64_t number);

 private:
  std::string bytes_;
};
std::uint64_t number_in(std::string_view text);

/// Runs what the command line says, and prints one line of `name=number`. The exit code.
///
///     PROGRAM emit ADDRESS PID EMITTERS SECONDS        each emitter waits for its receipt before it emits again
///     PROGRAM broadcast ADDRESS PID SUBSCRIBERS AHEAD SECONDS    the publisher is so many events ahead of the slowest subscriber; 0: as fast as it can
///     PROGRAM handle ADDRESS PID RATE SECONDS          events a second, from emit to handler; 0: 256 at a time, as fast as they are handled
///     PROGRAM disk FOLDER                              what 4 KiB and a sync cost there
///
/// PID is the server's, whose CPU time counts.
int run(int argc, char** argv, std::size_t overhead, const std::function<std::unique_ptr<network>(const std::string& address)>& connect);

}  // namespace bench
