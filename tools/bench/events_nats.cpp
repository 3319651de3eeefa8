// NATS under the load of tools/bench/events: JetStream with file storage for what is kept, core publish and subscribe for what is not.
#include <nats/nats.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>

#include "tools/bench/events_load.hpp"

namespace {

void check(natsStatus status, const char* what) {
  if (status != NATS_OK) throw std::runtime_error{std::string{what} + ": " + natsStatus_GetText(status)};
}

template <class Type, void (*Destroy)(Type*)>
struct destroys {
  void operator()(Type* what) const { Destroy(what); }
};
using connection = std::unique_ptr<natsConnection, destroys<natsConnection, natsConnection_Destroy>>;
using subscription = std::unique_ptr<natsSubscription, destroys<natsSubscription, natsSubscription_Destroy>>;

/// At once: each message is a write of its own. Otherwise a thread of the library sends what has come together within a millisecond.
connection connect(const std::string& address, bool at_once) {
  natsOptions* with = nullptr;
  check(natsOptions_Create(&with), "options");
  const std::unique_ptr<natsOptions, destroys<natsOptions, natsOptions_Destroy>> owned{with};
  check(natsOptions_SetURL(with, address.c_str()), "address");
  check(natsOptions_SetSendAsap(with, at_once), "options");
  natsConnection* out = nullptr;
  check(natsConnection_Connect(&out, with), address.c_str());
  return connection{out};
}

class nats final : public bench::network {
 public:
  explicit nats(std::string address) : address_{std::move(address)}, published_{connect(address_, false)} { open(); }
  ~nats() override { jsCtx_Destroy(stream_); }

  /// What is sent at once has half the rate then, and what is not is a millisecond late.
  void expect_many() override {
    at_once_ = false;
    jsCtx_Destroy(stream_);
    open();
  }

  void open() {
    kept_ = connect(address_, at_once_);
    jsOptions with;
    check(jsOptions_Init(&with), "options");
    with.PublishAsync.MaxPending = 1'000'000;
    with.PublishAsync.AckHandlerClosure = this;
    with.PublishAsync.AckHandler = [](jsCtx*, natsMsg* of, jsPubAck* receipt, jsPubAckErr*, void* self) {
      natsMsg_Destroy(of);
      static_cast<nats*>(self)->on_receipt(receipt != nullptr);
    };
    check(natsConnection_JetStream(&stream_, kept_.get(), &with), "JetStream");
    jsStreamConfig about;
    check(jsStreamConfig_Init(&about), "stream");
    const char* subjects[] = {"bench.kept"};
    about.Name = "events";
    about.Subjects = subjects;
    about.SubjectsLen = 1;
    about.Storage = js_FileStorage;
    check(js_AddStream(nullptr, stream_, &about, nullptr, nullptr), "making the stream");
  }
  void emit(std::string_view text) override {
    check(js_PublishAsync(stream_, "bench.kept", text.data(), static_cast<int>(text.size()), nullptr), "emit");
  }

  void publish(std::string_view text) override {
    check(natsConnection_Publish(published_.get(), "bench.passing", text.data(), static_cast<int>(text.size())), "publish");
  }
  void flush() override { check(natsConnection_Flush(published_.get()), "flush"); }

  std::shared_ptr<void> subscribe(taker on_event) override {
    auto out = std::make_shared<taking>(connect(address_, true), std::move(on_event));
    natsSubscription* made = nullptr;
    check(natsConnection_Subscribe(
              &made, out->from.get(), "bench.passing",
              [](natsConnection*, natsSubscription*, natsMsg* got, void* self) {
                static_cast<taking*>(self)->on_event({natsMsg_GetData(got), static_cast<std::size_t>(natsMsg_GetDataLength(got))});
                natsMsg_Destroy(got);
              },
              out.get()),
          "subscribe");
    out->takes(made);
    check(natsConnection_Flush(out->from.get()), "subscribe");
    return out;
  }

  /// A push consumer that acknowledges each event explicitly.
  std::shared_ptr<void> handle(taker on_event) override {
    auto out = std::make_shared<taking>(connect(address_, at_once_), std::move(on_event));
    check(natsConnection_JetStream(&out->stream, out->from.get(), nullptr), "JetStream");
    jsSubOptions with;
    check(jsSubOptions_Init(&with), "options");
    with.Stream = "events";
    with.ManualAck = true;
    with.Config.Durable = "group";
    with.Config.DeliverPolicy = js_DeliverNew;
    with.Config.AckPolicy = js_AckExplicit;
    with.Config.MaxAckPending = 256;
    natsSubscription* made = nullptr;
    check(js_Subscribe(
              &made, out->stream, "bench.kept",
              [](natsConnection*, natsSubscription*, natsMsg* got, void* self) {
                static_cast<taking*>(self)->on_event({natsMsg_GetData(got), static_cast<std::size_t>(natsMsg_GetDataLength(got))});
                natsMsg_Ack(got, nullptr);
                natsMsg_Destroy(got);
              },
              out.get(), nullptr, &with, nullptr),
          "making the consumer");
    out->takes(made);
    return out;
  }

 private:
  struct taking {
    taking(connection made, taker then) : from{std::move(made)}, on_event{std::move(then)} {}
    ~taking() {
      if (what) {  // its last callback uses what is destroyed here
        natsSubscription_Unsubscribe(what.get());
        over.get_future().wait();
      }
      what.reset();
      jsCtx_Destroy(stream);
    }
    void takes(natsSubscription* made) {
      what.reset(made);
      check(natsSubscription_SetOnCompleteCB(
                made, [](void* self) { static_cast<taking*>(self)->over.set_value(); }, this),
            "subscribe");
    }
    connection from;
    taker on_event;
    subscription what;
    std::promise<void> over;
    jsCtx* stream = nullptr;
  };

  std::string address_;
  bool at_once_ = true;
  connection kept_;
  connection published_;
  jsCtx* stream_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, 0, [](const std::string& address) { return std::make_unique<nats>(address); });
}
