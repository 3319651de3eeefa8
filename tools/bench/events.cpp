// waggle under the load of tools/bench/events, through its SDK.
#include <waggle/client.hpp>
#include <waggle/events.hpp>
#include <waggle/service.hpp>

#include <future>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "tools/bench/events_load.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::size_t msgpack_bytes = 2;  // in front of so many bytes
constexpr const char* kept = "bench.kept";
constexpr const char* passing = "bench.passing";  // ephemeral, by the broker's configuration

template <class Type>
Type value_of(waggle::result<Type> got) {
  if (!got) throw std::runtime_error{got.error().message};
  return std::move(*got);
}

class waggles final : public bench::network {
 public:
  explicit waggles(const std::string& address) : address_{address}, client_{{.broker = address, .name = "bench"}} { value_of(client_.broker(5s)); }

  void emit(std::string_view text) override {
    client_.start_emit(kept, waggle::binary{std::string{text}}, 10s, [this](const waggle::result<waggle::receipt>& got) { on_receipt(got && got->durable); });
  }

  void publish(std::string_view text) override {
    if (!publisher_) publisher_ = std::make_unique<waggle::publisher>(value_of(waggle::publisher::open({.broker = address_})));
    value_of(publisher_->emit(passing, waggle::binary{std::string{text}}).map([] { return true; }));
  }

  std::shared_ptr<void> subscribe(taker on_event) override {
    auto from = std::make_shared<waggle::subscriber>(value_of(waggle::subscriber::open({passing}, {.broker = address_})));
    return std::make_shared<std::jthread>([from, on_event = std::move(on_event)](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (const auto got = from->next(100ms)) on_event(got->payload);
      }
    });
  }

  std::shared_ptr<void> handle(taker on_event) override {
    auto out = std::make_shared<group>(std::move(on_event));
    std::promise<void> joined;
    out->thread = std::jthread{[this, &of = out->of, &joined](const std::stop_token& stop) {
      try {
        waggle::service_options with;
        with.broker = address_;
        with.slots = 256;
        of.serve(with, stop, [&](const waggle::service::seat&) { joined.set_value(); });
      } catch (...) {
        joined.set_exception(std::current_exception());
      }
    }};
    if (joined.get_future().wait_for(5s) != std::future_status::ready) throw std::runtime_error{"the group's member does not join"};
    return out;
  }

 private:
  struct group {
    explicit group(taker on_event) {
      of.on_event(kept, [on_event = std::move(on_event)](const waggle::binary& got) { on_event(got.bytes); });
    }
    waggle::service of{"bench", "1"};
    std::jthread thread;
  };

  std::string address_;
  waggle::client client_;
  std::unique_ptr<waggle::publisher> publisher_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, msgpack_bytes, [](const std::string& address) { return std::make_unique<waggles>(address); });
}
