// waggle under the load of tools/bench/compare, through the SDK that everybody has: waggle::client with callbacks, waggle::service with an echo. A crowd is
// many workers in one process, for what a broker makes of many.
#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/detail/descriptor_limit.hpp>
#include <waggle/detail/worker_core.hpp>
#include <waggle/net/socket.hpp>
#include <waggle/service.hpp>
#include <waggle/wire/manifest.hpp>

#include "tools/bench/peers/calls.hpp"

namespace {

using namespace waggle;
using namespace waggle::bench;

std::string command_name(std::size_t which) { return "bench.echo." + std::to_string(which); }

/// Begins a call whenever one ends, on the client's own thread.
class caller {
 public:
  caller(const std::string& address, const load& of, std::size_t commands)
      : load_{of}, commands_{commands}, net_{{.broker = address}} {
    append_payload(payload_, binary{std::string(of.payload_bytes - header_bytes(of.payload_bytes), 'x')});
    for (std::size_t i = 0; i < commands_; ++i) names_.push_back(command_name(i));
  }

  void run() {
    // The first call only, from this thread: all others begin where answers arrive.
    begin(steady::now());
    over_.wait(false);
    load_.report();
  }

 private:
  /// Of the msgpack that goes around so many bytes with it.
  static std::size_t header_bytes(std::size_t all) { return all < 258 ? 2 : all < 65'539 ? 3 : 5; }

  void begin(steady::time_point now) {
    const auto from = load_.begin_one(now);
    const auto& name = names_[next_++ % commands_];
    net_.start_view(name, payload_, std::chrono::milliseconds{10'000}, [this, from](const result<std::string_view>& got) {
      auto at = steady::now();
      load_.ended(at, from, got.has_value() && got->size() == payload_.size());
      while (load_.may_begin(at)) begin(at);
      if (load_.finished(at)) {
        over_ = true;
        over_.notify_one();
      }
    });
  }

  measured_load load_;
  std::size_t commands_;
  std::vector<std::string> names_;
  std::size_t next_ = 0;
  std::string payload_;
  std::atomic<bool> over_{false};
  client net_;  // last, for its thread uses the others
};

/// A quick handler runs on the connection's own thread, as all of a raw worker does.
void mark_quick(auto& made) {
  if constexpr (requires { made.quick(); }) made.quick();
}

/// Many workers in one process and one thread: each has a connection of its own, and answers what it gets.
class crowd {
 public:
  crowd(const std::string& address, std::size_t workers, std::size_t commands, std::uint32_t slots) : epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    waggle::detail::raise_descriptor_limit();
    sockets_.native().set(zmq::ctxopt::max_sockets, static_cast<int>(workers) + 16);
    members_.reserve(workers);
    for (std::size_t w = 0; w < workers; ++w) {
      // Those that serve the same are one service, as its instances are.
      manifest joins{"crowd-" + std::to_string(::getpid()) + "-" + std::to_string(w % commands), "1", "", slots, wire::bundle_frames_max, {}};
      for (std::size_t c = w; c < std::max(commands, workers); c += workers) {
        auto& served = joins.commands.emplace_back();
        served.name = command_name(c % commands);
        served.quick = true;  // what it answers at once, in the thread of the connection
      }
      joins.idles = true;  // as services do
      std::string bytes;
      wire::append_manifest(bytes, joins);
      members_.push_back(std::make_unique<member>(
          sockets_, waggle::detail::worker_core::options{.manifest = bytes, .broker = address, .jitter_seed = w * 7919 + 1, .idles = true}));
      auto& made = *members_.back();
      made.socket.connect(address);
      epoll_event event{};
      event.events = EPOLLIN | EPOLLET;
      event.data.ptr = &made;
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, made.socket.descriptor(), &event) != 0) throw std::runtime_error{"epoll_ctl"};
    }
  }
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;
  ~crowd() { ::close(epoll_); }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(1024);
    auto look_at_all = steady::now();
    bool said = false;
    for (;;) {
      const auto got = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 20);
      for (int i = 0; i < got; ++i) serve(*static_cast<member*>(events[static_cast<std::size_t>(i)].data.ptr));
      // What is due (pulses), and what has found no connection yet.
      if (const auto now = steady::now(); now >= look_at_all) {
        look_at_all = now + std::chrono::milliseconds{50};
        std::size_t joined = 0;
        for (auto& each : members_) {
          if (each->core.next_deadline() <= now || !each->message.empty()) serve(*each);
          joined += each->core.joined() ? 1 : 0;
        }
        if (!said && joined == members_.size()) {
          say_ready();
          said = true;
        }
      }
    }
  }

 private:
  struct member {
    member(net::context& in, waggle::detail::worker_core::options with) : socket{in}, core{steady::now(), std::move(with)} {}
    net::dealer socket;
    waggle::detail::worker_core core;
    wire::message message;  ///< taken from the core and not sent yet
  };
  struct sink {
    member& of;
    void on_joined(const waggle::detail::welcome&) const {}
    void on_call(const waggle::detail::lease& lease, const wire::frame& in) const { of.core.reply(lease, status::ok, in.payload); }
    void on_cancel(const waggle::detail::lease&) const {}
    void on_credit(const waggle::detail::lease&, std::uint64_t) const {}
    void on_asked_to_leave() const {}
    void on_lost(const std::string& why) const { std::fprintf(stderr, "%s\n", why.c_str()); }
    void on_refused(const error& why) const { std::fprintf(stderr, "%s\n", why.message.c_str()), std::_Exit(1); }
    void on_left() const {}
    void on_complaint(const error& why) const { std::fprintf(stderr, "%s\n", why.message.c_str()); }
  };

  static void serve(member& who) {
    const sink to{who};
    const auto now = steady::now();
    // The descriptor is edge-triggered, so all is taken, and a send can swallow an edge.
    do {
      while (const auto got = who.socket.receive()) who.core.receive(now, *got, to);
      who.core.tick(now, to);
      while (!who.message.empty() || who.core.take_message(now, who.message)) {
        if (who.socket.hand_over(who.message) != net::sent::yes) break;
      }
    } while (who.socket.readable());
  }

  net::context sockets_;
  std::vector<std::unique_ptr<member>> members_;
  int epoll_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  return run_program([&] {
    if (role == "client" && argc >= 7) {
      caller{argv[2], load_from(argc, argv, 3), argc > 7 ? std::strtoul(argv[7], nullptr, 10) : 1}.run();
    } else if (role == "worker" && argc > 2) {
      service echo{"bench", "1.0.0"};
      mark_quick(echo.on(command_name(0), [](value in) { return in; }).safe());
      std::vector<char*> rest{argv[0]};
      rest.insert(rest.end(), argv + 2, argv + argc);
      std::exit(echo.run(static_cast<int>(rest.size()), rest.data()));
    } else if (role == "crowd" && argc == 6) {
      crowd{argv[2], std::strtoul(argv[3], nullptr, 10), std::max(1ul, std::strtoul(argv[4], nullptr, 10)),
            static_cast<std::uint32_t>(std::strtoul(argv[5], nullptr, 10))}
          .run();
    } else {
      throw std::runtime_error{
          "usage: waggle-bench-calls-waggle client ADDRESS IN_FLIGHT PAYLOAD_BYTES WARM_UP_S SECONDS [COMMANDS]\n"
          "       waggle-bench-calls-waggle worker FLAG...                      the flags of a service\n"
          "       waggle-bench-calls-waggle crowd ADDRESS WORKERS COMMANDS SLOTS   a command has several workers if there are more of them"};
    }
  });
}
