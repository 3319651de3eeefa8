#include <waggle/service.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"

namespace {

using namespace waggle;
using namespace std::chrono_literals;

struct nobody final : detail::context_host {
  client& caller() override { throw std::logic_error{"no calls here"}; }
  bool send_part(void*, std::string, const std::stop_token&) override { return false; }
};

context for_call(nobody& host, header_map headers = {}, const handled_event* event = nullptr) {
  return {host, nullptr, "a.command", std::move(headers), std::chrono::steady_clock::now() + 1min, {}, event};
}

std::string id_of(const detail::emitted& event) {
  const auto headers = wire::headers_from_msgpack(event.headers);
  const auto found = headers.find("event_id");
  return found == headers.end() ? "" : found->second;
}

}  // namespace

TEST_CASE("service: what is no pattern of topics is refused where it stands, a pattern twice in a group when it is served", "[service]") {
  service shop{"shop", "1"};
  for (const auto* bad : {"", "a b", "*.a", "a*b", "waggle.x", "waggle.*"}) CHECK_THROWS_AS(shop.on_event(bad, [] {}), std::invalid_argument);
  shop.on_event("order.*", [] {});
  shop.on_event("order.*", [] {}).group("mail");
  shop.on_event("order.*", [] {}).group("shop");  // the default, said
  CHECK_THROWS_WITH(shop.serve({}, {}), "the manifest is refused at events[2].topic: this group handles \"order.*\" already");
}

TEST_CASE("context: what handlers emit for an event that may come again has an id made of it, the same each time", "[service]") {
  nobody host;
  const handled_event event{"x", "order.placed", "events", 7, 2, 8, {}, "mail"};
  std::vector<std::string> before;
  for (int run = 0; run < 2; ++run) {
    auto with = for_call(host, {{"traceparent", "t"}}, &event);
    CHECK(with.event() == &event);
    REQUIRE(with.emit("mail.sent", 1).has_value());
    REQUIRE(with.emit("mail.sent", 2, "key").has_value());
    REQUIRE(with.emit("other", 3, emit_options{.key = "k", .event_id = "mine", .headers = {{"h", "v"}}}).has_value());
    const auto emitted = with.take_emitted();
    CHECK(id_of(emitted.at(0)) == "mail/events-7/mail.sent/1");
    CHECK(id_of(emitted.at(1)) == "mail/events-7/mail.sent/2");
    CHECK(id_of(emitted.at(2)) == "mine");
    CHECK(wire::headers_from_msgpack(emitted.at(2).headers) == header_map{{"event_id", "mine"}, {"h", "v"}, {"key", "k"}, {"traceparent", "t"}});
  }
}

TEST_CASE("context: what a durable command emits has an id made of its operation, and what other calls emit has none", "[service]") {
  nobody host;
  auto later = for_call(host, {{"operation", "0123"}});
  REQUIRE(later.emit("a", 1).has_value());
  CHECK(id_of(later.take_emitted().at(0)) == "0123/a/1");
  auto plain = for_call(host);
  CHECK(plain.event() == nullptr);
  REQUIRE(plain.emit("a", 1).has_value());
  CHECK(id_of(plain.take_emitted().at(0)).empty());
}

TEST_CASE("context: patterns, the broker's topics and ids that are too long are not emitted", "[service]") {
  nobody host;
  auto with = for_call(host);
  CHECK(with.emit("a.*", 1).error().code == status::invalid_argument);
  CHECK(with.emit("waggle.x", 1).error().code == status::invalid_argument);
  CHECK(with.emit("a", 1, emit_options{.event_id = std::string(129, 'x')}).error().code == status::invalid_argument);
}

TEST_CASE("derived ids: are at most 128 bytes, valid UTF-8, and differ where their causes do", "[service]") {
  std::set<std::string> all;
  std::size_t count = 0;
  const std::string wide(100, 'g');
  std::string letters;
  for (int i = 0; i < 60; ++i) letters += "\xc3\xa9";
  for (const auto& cause : {std::string{"g/events-1"}, wide + "/events-1", wide + "/events-2", letters + "/s-1", "x" + letters + "/s-1"}) {
    for (const auto& topic : {std::string{"t"}, std::string(128, 't'), letters}) {
      for (std::size_t number = 1; number <= 20; ++number, ++count) {
        const auto id = detail::derived_event_id(cause, topic, number);
        CHECK(id.size() <= 128);
        CHECK(wire::is_utf8(id));
        all.insert(id);
      }
    }
  }
  CHECK(all.size() == count);
}

TEST_CASE("delivery: what the broker says of an event is read, and whatever else it says is survived", "[service]") {
  std::string about, bundle;
  wire::writer to{about};
  to.map(8);
  for (const auto& [key, text] : {std::pair{"group", "mail"}, {"stream", "events"}}) {
    to.string(key);
    to.string(text);
  }
  for (const auto& [key, number] : {std::pair{"sequence", 7u}, {"attempt", 2u}, {"attempts_max", 8u}, {"time", 1500u}, {"budget_ms", 250u}, {"odd", 1u}}) {
    to.string(key);
    to.unsigned_integer(number);
  }
  wire::frame in;
  in.name = "order.placed";
  in.about = about;
  const auto got = detail::read_delivery(in);
  CHECK(got.event.id == "events-7");
  CHECK(got.event.group == "mail");
  CHECK(got.event.attempt == 2);
  CHECK(got.event.time.time_since_epoch() == 1500ms);
  CHECK(got.budget == 250ms);
  for (std::size_t cut = 0; cut <= about.size(); ++cut) {
    in.about = std::string_view{about}.substr(0, cut);
    CHECK(detail::read_delivery(in).event.topic == "order.placed");
  }
}
