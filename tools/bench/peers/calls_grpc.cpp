// gRPC under the load of tools/bench/compare: unary calls over one channel, through the asynchronous API with one completion queue and one thread on
// either side. There is nothing between client and server, so a process and a hop less than the others have.
#include <grpcpp/grpcpp.h>

#include <deque>
#include <optional>
#include <vector>

#include "tools/bench/peers/calls.hpp"
#include "tools/bench/peers/echo.grpc.pb.h"

namespace {

using namespace waggle::bench;

/// One call at the server: asked for, answered, and asked for again.
class answering {
 public:
  answering(Echo::AsyncService& by, grpc::ServerCompletionQueue& queue) : by_{by}, queue_{queue} { ask(); }

  void proceed(bool good) {
    if (!good && !answered_) return;  // the server ends
    if (!answered_) {
      answered_ = true;
      return writer_->Finish(payload_, grpc::Status::OK, this);
    }
    ask();
  }

 private:
  void ask() {
    answered_ = false;
    writer_.reset();
    context_.emplace();
    writer_.emplace(&*context_);
    by_.RequestCall(&*context_, &payload_, &*writer_, &queue_, &queue_, this);
  }

  Echo::AsyncService& by_;
  grpc::ServerCompletionQueue& queue_;
  std::optional<grpc::ServerContext> context_;
  Payload payload_;
  std::optional<grpc::ServerAsyncResponseWriter<Payload>> writer_;
  bool answered_ = false;
};

/// As many calls are asked for as may be in flight.
constexpr std::size_t asked_for = 2048;

[[noreturn]] void be_worker() {
  Echo::AsyncService by;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&by);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  if (!server) throw std::runtime_error{"the server does not start"};
  std::deque<answering> all;
  for (std::size_t i = 0; i < asked_for; ++i) all.emplace_back(by, *queue);
  say_ready("127.0.0.1:" + std::to_string(port));
  void* which = nullptr;
  bool good = false;
  while (queue->Next(&which, &good)) static_cast<answering*>(which)->proceed(good);
  std::_Exit(0);
}

/// One call at the client, and the next in its place.
struct asking {
  std::optional<grpc::ClientContext> context;
  Payload reply;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Payload>> reader;
  steady::time_point begun;
};

void be_client(const std::string& address, const load& of) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = Echo::NewStub(channel);
  grpc::CompletionQueue queue;
  Payload payload;
  payload.set_body(std::string(of.payload_bytes, 'x'));
  std::deque<asking> all(of.in_flight);
  std::vector<asking*> free;
  for (auto& each : all) free.push_back(&each);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds{10})) throw std::runtime_error{"no connection to " + address};
  measured_load load{of};
  for (auto now = steady::now(); !load.finished(now); now = steady::now()) {
    for (; load.may_begin(now); now = steady::now()) {
      auto& call = *free.back();
      free.pop_back();
      call.context.emplace();
      call.begun = load.begin_one(now);
      call.reader = stub->AsyncCall(&*call.context, payload, &queue);
      call.reader->Finish(&call.reply, &call.status, &call);
    }
    void* which = nullptr;
    bool good = false;
    if (queue.AsyncNext(&which, &good, std::chrono::system_clock::now() + std::chrono::milliseconds{100}) != grpc::CompletionQueue::GOT_EVENT) {
      load.tell(steady::now());
      continue;
    }
    auto& call = *static_cast<asking*>(which);
    load.ended(steady::now(), call.begun, good && call.status.ok() && call.reply.body().size() == of.payload_bytes);
    free.push_back(&call);
  }
  load.report();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  return run_program([&] {
    if (role == "worker") be_worker();
    if (role != "client" || argc < 7) {
      throw std::runtime_error{"usage: waggle-bench-calls-grpc worker | client ADDRESS IN_FLIGHT PAYLOAD_BYTES WARM_UP_S SECONDS"};
    }
    be_client(argv[2], load_from(argc, argv, 3));
  });
}
