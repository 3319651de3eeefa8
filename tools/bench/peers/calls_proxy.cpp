// libzmq by itself under the load of tools/bench/compare: a DEALER for a client, zmq_proxy between ROUTER and DEALER, a worker that echoes. One
// message for each call. No heartbeats, no time-outs, no names: what anybody would have to build on it.
//
// Two ways to write it:
//   lean  the number of the call is in front of its payload, in one part; client and worker (a DEALER) take all that is there before they wait
//   book  as the ZeroMQ guide has it: parts of their own for the number and the delimiter, a REP socket for a worker, a poll before each message
#include <sys/epoll.h>
#include <zmq.hpp>

#include <cstdlib>
#include <cstring>
#include <vector>

#include <waggle/detail/descriptor_limit.hpp>

#include "tools/bench/peers/calls.hpp"

namespace {

using namespace waggle::bench;

/// More than is ever in flight: a ROUTER drops what does not fit, and a DEALER would wait.
constexpr int high_water_mark = 100'000;

void set_up(zmq::socket_t& what) {
  what.set(zmq::sockopt::linger, 0);
  what.set(zmq::sockopt::sndhwm, high_water_mark);
  what.set(zmq::sockopt::rcvhwm, high_water_mark);
}

[[noreturn]] void be_proxy() {
  zmq::context_t context{1};
  zmq::socket_t front{context, zmq::socket_type::router}, back{context, zmq::socket_type::dealer};
  for (auto* const each : {&front, &back}) {
    set_up(*each);
    each->bind("tcp://127.0.0.1:*");
  }
  say_ready(front.get(zmq::sockopt::last_endpoint) + " " + back.get(zmq::sockopt::last_endpoint));
  zmq::proxy(front, back);
  std::exit(0);
}

void wait_for(zmq::socket_t& socket, int milliseconds) {
  zmq::pollitem_t item{socket.handle(), 0, ZMQ_POLLIN, 0};
  zmq::poll(&item, 1, std::chrono::milliseconds{milliseconds});
}

bool is_lean(std::string_view how) {
  if (how == "lean" || how == "book") return how == "lean";
  throw std::runtime_error{"lean or book"};
}

/// Parts are passed back as they came, uncopied.
[[noreturn]] void be_worker(const std::string& address, bool lean) {
  zmq::context_t context{1};
  zmq::socket_t socket{context, lean ? zmq::socket_type::dealer : zmq::socket_type::rep};
  set_up(socket);
  socket.connect(address);
  say_ready();
  zmq::message_t part;
  for (;;) {
    if (!lean && !part.more()) wait_for(socket, -1);
    if (!socket.recv(part)) continue;
    socket.send(part, part.more() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

/// Many lean workers in one process and one thread, as waggle's crowd is: a message for each, whoever stands between.
[[noreturn]] void be_crowd(const std::string& address, std::size_t workers) {
  waggle::detail::raise_descriptor_limit();
  zmq::context_t context{1};
  context.set(zmq::ctxopt::max_sockets, static_cast<int>(workers) + 16);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<zmq::socket_t> sockets;
  for (std::size_t i = 0; i < workers; ++i) {
    auto& made = sockets.emplace_back(context, zmq::socket_type::dealer);
    set_up(made);
    made.connect(address);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = i;
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, made.get(zmq::sockopt::fd), &event) != 0) throw std::runtime_error{"epoll_ctl"};
  }
  say_ready();
  std::vector<epoll_event> events(1024);
  zmq::message_t part;
  for (;;) {
    const auto got = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < got; ++i) {
      auto& socket = sockets[events[static_cast<std::size_t>(i)].data.u64];
      do {
        while (socket.recv(part, zmq::recv_flags::dontwait)) socket.send(part, part.more() ? zmq::send_flags::sndmore : zmq::send_flags::none);
      } while ((socket.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0);
    }
  }
}

void be_client(const std::string& address, const load& of, bool lean) {
  zmq::context_t context{1};
  zmq::socket_t socket{context, zmq::socket_type::dealer};
  set_up(socket);
  socket.set(zmq::sockopt::rcvtimeo, 100);
  socket.connect(address);
  measured_load load{of};
  // A call is known by where it is in this table.
  std::vector<steady::time_point> begun(of.in_flight);
  std::vector<std::uint32_t> free;
  for (std::size_t i = of.in_flight; i-- > 0;) free.push_back(static_cast<std::uint32_t>(i));
  const auto begin = [&](steady::time_point now) {
    const auto which = free.back();
    free.pop_back();
    begun[which] = load.begin_one(now);
    const auto number_bytes = lean ? sizeof(std::uint64_t) : 0;
    zmq::message_t call{number_bytes + of.payload_bytes};
    std::memset(call.data(), 'x', call.size());
    if (lean) {
      std::memcpy(call.data(), &which, sizeof which);
    } else {
      socket.send(zmq::buffer(&which, sizeof which), zmq::send_flags::sndmore);
      socket.send(zmq::message_t{}, zmq::send_flags::sndmore);
    }
    socket.send(call, zmq::send_flags::none);
  };
  zmq::message_t number, answer;
  const auto take = [&] {
    if (!lean) {
      std::swap(number, answer);
      while (socket.recv(answer) && answer.more()) {
      }
    }
    const auto& from = lean ? answer : number;
    std::uint32_t which = 0;
    if (answer.size() != of.payload_bytes + (lean ? sizeof(std::uint64_t) : 0)) throw std::runtime_error{"an answer of another size"};
    std::memcpy(&which, from.data(), sizeof which);
    load.ended(steady::now(), begun.at(which), true);
    free.push_back(which);
  };
  for (auto now = steady::now(); !load.finished(now); now = steady::now()) {
    for (; load.may_begin(now); now = steady::now()) begin(now);
    if (!lean) wait_for(socket, 100);
    if (!socket.recv(answer)) {
      load.tell(steady::now());
      continue;
    }
    do {
      take();
    } while (lean && socket.recv(answer, zmq::recv_flags::dontwait));
  }
  load.report();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  return run_program([&] {
    if (role == "proxy") be_proxy();
    if (role == "worker" && argc == 4) be_worker(argv[2], is_lean(argv[3]));
    if (role == "crowd" && argc == 4) be_crowd(argv[2], std::strtoul(argv[3], nullptr, 10));
    if (role != "client" || argc < 8) {
      throw std::runtime_error{"usage: waggle-bench-calls-proxy proxy | worker ADDRESS HOW | crowd ADDRESS WORKERS | client ADDRESS IN_FLIGHT PAYLOAD_BYTES WARM_UP_S SECONDS HOW\n"
                               "HOW: lean or book"};
    }
    be_client(argv[2], load_from(argc, argv, 3), is_lean(argv[7]));
  });
}
