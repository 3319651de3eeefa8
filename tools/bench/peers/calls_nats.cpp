// NATS core under the load of tools/bench/compare, through its C client: requests with an inbox of the client's own and a number in its subject, as the
// library's own requests have them, but without waiting for each; the worker is in a queue group.
//
// The library offers three ways to send, and which is best depends on the load:
//   asap      each message is a system call of its own
//   buffered  a thread of the library sends what has come together within a millisecond
//   loop      an event loop of the program's own (here one thread with epoll): what came together until the socket is looked at again is one system
//             call, and messages are taken on that thread, too
#include <nats/nats.h>
#include <sys/epoll.h>

#include <charconv>
#include <vector>

#include "tools/bench/peers/calls.hpp"

namespace {

using namespace waggle::bench;

void check(natsStatus status, const char* what) {
  if (status != NATS_OK) throw std::runtime_error{std::string{what} + ": " + natsStatus_GetText(status)};
}

template <class Type, void (*Destroy)(Type*)>
struct destroys {
  void operator()(Type* what) const { Destroy(what); }
};
using message = std::unique_ptr<natsMsg, destroys<natsMsg, natsMsg_Destroy>>;

enum class sending { asap, buffered, loop };
sending sending_named(std::string_view name) {
  if (name == "asap") return sending::asap;
  if (name == "buffered") return sending::buffered;
  if (name == "loop") return sending::loop;
  throw std::runtime_error{"asap, buffered or loop"};
}

/// A connection of which one thread takes the messages.
class connection {
 public:
  connection(const std::string& address, sending how) : epoll_{::epoll_create1(EPOLL_CLOEXEC)}, how_{how} {
    natsOptions* with = nullptr;
    check(natsOptions_Create(&with), "options");
    const std::unique_ptr<natsOptions, destroys<natsOptions, natsOptions_Destroy>> owned{with};
    check(natsOptions_SetURL(with, address.c_str()), "address");
    check(natsOptions_SetSendAsap(with, how != sending::buffered), "options");
    check(natsOptions_SetIOBufSize(with, 256 * 1024), "options");
    if (how == sending::loop) check(natsOptions_SetEventLoop(with, this, attach, read, write, detach), "event loop");
    check(natsConnection_Connect(&made_, with), address.c_str());
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  // Ends with the process: the library's threads have nothing left to say.
  ~connection() { ::close(epoll_); }

  natsConnection* native() { return made_; }

  void subscribe(const std::string& subject, const char* queue) {
    check(queue == nullptr ? natsConnection_SubscribeSync(&from_, made_, subject.c_str())
                           : natsConnection_QueueSubscribeSync(&from_, made_, subject.c_str(), queue),
          "subscribe");
    check(natsSubscription_SetPendingLimits(from_, -1, -1), "limits");
    if (how_ == sending::loop) {
      while (natsConnection_Buffered(made_) > 0) turn(10);
    } else {
      check(natsConnection_Flush(made_), "subscribe");
    }
  }

  /// The next message; waits for it for a moment.
  message next() {
    natsMsg* got = nullptr;
    if (how_ != sending::loop) {
      natsSubscription_NextMsg(&got, from_, 100);
      return message{got};
    }
    if (natsSubscription_NextMsg(&got, from_, 0) == NATS_OK) return message{got};
    turn(100);
    natsSubscription_NextMsg(&got, from_, 0);
    return message{got};
  }
  /// The next of those that are there.
  message next_there() {
    natsMsg* got = nullptr;
    natsSubscription_NextMsg(&got, from_, 0);
    return message{got};
  }

 private:
  /// One look at the socket.
  void turn(int wait_ms) {
    epoll_event event{};
    if (::epoll_wait(epoll_, &event, 1, wait_ms) <= 0) return;
    if ((event.events & ~EPOLLOUT) != 0) natsConnection_ProcessReadEvent(made_);
    if ((event.events & EPOLLOUT) != 0) natsConnection_ProcessWriteEvent(made_);
  }

  // What the library asks of an event loop. It may be on threads of its own, for which epoll_ctl is good enough.

  static natsStatus attach(void** us, void* loop, natsConnection*, natsSock socket) {
    auto& self = *static_cast<connection*>(loop);
    *us = loop;
    self.socket_ = socket;
    epoll_event event{};
    event.events = EPOLLIN;
    return ::epoll_ctl(self.epoll_, EPOLL_CTL_ADD, socket, &event) == 0 ? NATS_OK : NATS_ERR;
  }
  static natsStatus read(void* us, bool add) { return static_cast<connection*>(us)->want(EPOLLIN, add); }
  static natsStatus write(void* us, bool add) { return static_cast<connection*>(us)->want(EPOLLOUT, add); }
  static natsStatus detach(void*) { return NATS_OK; }
  natsStatus want(std::uint32_t what, bool add) {
    epoll_event event{};
    wanted_ = add ? wanted_ | what : wanted_ & ~what;
    event.events = wanted_;
    return ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &event) == 0 ? NATS_OK : NATS_ERR;
  }

  int epoll_;
  sending how_;
  std::uint32_t wanted_ = EPOLLIN;
  natsSock socket_ = 0;
  natsConnection* made_ = nullptr;
  natsSubscription* from_ = nullptr;
};

[[noreturn]] void be_worker(const std::string& address, sending how) {
  connection net{address, how};
  net.subscribe("bench.echo", "workers");
  say_ready();
  for (;;) {
    for (auto call = net.next(); call; call = net.next_there()) {
      check(natsConnection_Publish(net.native(), natsMsg_GetReply(call.get()), natsMsg_GetData(call.get()), natsMsg_GetDataLength(call.get())), "reply");
    }
  }
}

void be_client(const std::string& address, sending how, const load& of) {
  connection net{address, how};
  natsInbox* inbox = nullptr;
  check(natsInbox_Create(&inbox), "inbox");
  const auto prefix = std::string{inbox} + ".";
  net.subscribe(prefix + "*", nullptr);
  measured_load load{of};
  // A call is known by where it is in this table; the subject to answer to is there, too.
  std::vector<steady::time_point> begun(of.in_flight);
  std::vector<std::string> subjects;
  std::vector<std::uint32_t> free;
  for (std::size_t i = 0; i < of.in_flight; ++i) subjects.push_back(prefix + std::to_string(i));
  for (std::size_t i = of.in_flight; i-- > 0;) free.push_back(static_cast<std::uint32_t>(i));
  const std::string payload(of.payload_bytes, 'x');
  for (auto now = steady::now(); !load.finished(now); now = steady::now()) {
    while (load.may_begin(now)) {
      const auto which = free.back();
      free.pop_back();
      begun[which] = load.begin_one(now);
      check(natsConnection_PublishRequest(net.native(), "bench.echo", subjects[which].c_str(), payload.data(), static_cast<int>(payload.size())), "request");
      now = steady::now();
    }
    auto answer = net.next();
    if (!answer) load.tell(steady::now());
    for (; answer; answer = net.next_there()) {
      const std::string_view subject = natsMsg_GetSubject(answer.get());
      std::uint32_t which = 0;
      std::from_chars(subject.data() + prefix.size(), subject.data() + subject.size(), which);
      const bool good = natsMsg_GetDataLength(answer.get()) == static_cast<int>(payload.size());  // "no responders" is empty
      load.ended(steady::now(), begun.at(which), good);
      free.push_back(which);
    }
  }
  load.report();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  return run_program([&] {
    if (role == "worker" && argc == 4) be_worker(argv[2], sending_named(argv[3]));
    if (role != "client" || argc < 8) {
      throw std::runtime_error{"usage: waggle-bench-calls-nats worker ADDRESS HOW | client ADDRESS IN_FLIGHT PAYLOAD_BYTES WARM_UP_S SECONDS HOW\n"
                               "HOW: asap, buffered or loop"};
    }
    be_client(argv[2], sending_named(argv[7]), load_from(argc, argv, 3));
  });
}
