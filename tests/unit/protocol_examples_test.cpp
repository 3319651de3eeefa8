// PROTOCOL.md against the code: every example byte for byte, both ways, and the table of statuses.
#include "support/catch.hpp"

#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"
#include "broker/events/event_core.hpp"

using namespace std::literals;
using namespace waggle;
using namespace waggle::wire;

namespace {

std::vector<std::string> lines_of_the_page() {
  std::ifstream page{WAGGLE_SOURCE_DIR "/broker/PROTOCOL.md"};
  REQUIRE(page);
  std::vector<std::string> out;
  for (std::string line; std::getline(page, line);) out.push_back(line);
  return out;
}

/// Blocks that begin with "```hex NAME": pairs of digits, and behind a semicolon what they mean.
std::map<std::string, std::string> examples() {
  std::map<std::string, std::string> out;
  std::string* block = nullptr;
  for (const auto& line : lines_of_the_page()) {
    if (line.starts_with("```hex ")) {
      const auto name = line.substr(7);
      CHECK_FALSE(out.contains(name));
      block = &out[name];
    } else if (line.starts_with("```")) {
      block = nullptr;
    } else if (block != nullptr) {
      std::istringstream digits{line.substr(0, line.find(';'))};
      for (std::string pair; digits >> pair;) {
        REQUIRE(pair.size() == 2);
        REQUIRE(pair.find_first_not_of("0123456789abcdef") == std::string::npos);
        block->push_back(static_cast<char>(std::stoi(pair, nullptr, 16)));
      }
    }
  }
  return out;
}

/// Plays one broker; each step gives the bytes of the one message that it sends.
class one_broker {
 public:
  std::string answer(std::uint32_t from, std::string_view bytes) {
    core_.receive(now_, broker::peer_id{from}, bytes, out_);
    return sent();
  }
  std::string after(broker::instant::duration time) {
    core_.tick(now_ += time, out_);
    return sent();
  }

 private:
  std::string sent() {
    REQUIRE(out_.messages() <= 1);
    const auto bytes = out_.messages() == 0 ? ""s : out_.message_at(0).bundle;
    out_.clear();
    return bytes;
  }

  static broker::settings settings() {
    broker::settings from;
    from.instance = "b-1";
    from.version = "0.1.0";
    from.events_in = "tcp://0.0.0.0:5556";
    from.events_out = "tcp://0.0.0.0:5557";
    return from;
  }

  static broker::event_settings on_disk() {
    broker::event_settings out;
    out.durable = true;
    return out;
  }

  broker::broker_core core_{settings(), on_disk()};
  broker::outbox out_;
  broker::instant now_ = broker::instant{} + 1h;
};

/// Plays the broker's part in events, over a log that says what the examples need: the stream has 1040 events, and one of another topic and
/// then `order.placed` are kept at a certain time.
class one_event_core : private broker::event_members {
 public:
  one_event_core() {
    broker::log_contents there;
    there.streams.push_back({"events", 1, 1040, 0, 0});
    core_.open(now_, there);
    core_.subscribed("order.");
    core_.subscribed("waggle.head.");
    const event_manifest orders{"order.*"};
    core_.joined(now_, {orders}, "mailer");
    core_.members_changed(now_);
    core_.emit(now_, 0, "user.joined", {}, {});
    settle();
  }

  /// The REPLY to an EMIT, or to a CALL that is to run later.
  std::string answer(std::string_view bytes) {
    bundle_reader frames{bytes};
    frame in;
    REQUIRE(frames.next(in) == decoded::frame);
    if (in.type == frame_type::emit) {
      core_.emit(now_, in.id, in.name, in.payload, in.headers);
    } else {
      core_.later(now_, in.id, in.name, in.payload, in.headers, 60s);
    }
    settle();
    std::string out;
    for (const auto& each : answers_) {
      if (each.lease == in.id) append_reply(out, in.id, each.code, each.payload, {});
    }
    return out;
  }
  /// What subscribers get of a topic.
  std::string broadcast(std::string_view topic) {
    for (const auto& each : broadcasts_) {
      if (each.topic == topic) return each.event;
    }
    return {};
  }
  /// What the member of the group gets.
  std::string delivered() {
    REQUIRE(deliveries_.size() == 1);
    const auto& what = deliveries_.front();
    std::string out;
    append_event(out, 1 << 24, what.topic, what.payload, what.headers, what.about);
    return out;
  }
  std::string head() {
    core_.tick(now_ += 1s);
    settle();
    return broadcast("waggle.head.events");
  }

 private:
  [[nodiscard]] std::uint32_t slots_of(std::string_view command) const override { return command.starts_with("waggle.event mailer ") ? 1 : 0; }
  [[nodiscard]] bool may_repeat(std::string_view) const override { return false; }

  void settle() {
    while (!core_.effects().empty()) {
      const auto effects = std::exchange(core_.effects(), {});
      answers_.insert(answers_.end(), effects.answers.begin(), effects.answers.end());
      deliveries_.insert(deliveries_.end(), effects.deliveries.begin(), effects.deliveries.end());
      broadcasts_.insert(broadcasts_.end(), effects.broadcasts.begin(), effects.broadcasts.end());
      for (const auto& each : effects.writes) {
        broker::written done;
        done.time_ms = 1'764'000'000'000;
        if (std::holds_alternative<broker::write::append>(each.what)) done.sequence = ++kept_;
        if (std::holds_alternative<broker::write::accept>(each.what)) done.sequence = 1, done.operation = "5f0c29d7b1f94c0e8d0b6d6f3a1c2e77";
        if (each.ticket != 0) core_.wrote(now_, each.ticket, done);
      }
    }
  }

  static broker::event_settings settings() {
    broker::event_settings out;
    out.durable = true;
    return out;
  }

  broker::instant now_ = broker::instant{} + 1h;
  broker::event_core core_{settings(), *this};
  std::uint64_t kept_ = 1040;
  std::vector<broker::event_effects::answer> answers_;
  std::vector<broker::event_effects::delivery> deliveries_;
  std::vector<broker::event_effects::broadcast> broadcasts_;
};

std::string map_of(const std::function<void(writer&)>& write) {
  std::string out;
  writer to{out};
  write(to);
  return out;
}

std::string say() {
  return map_of([](writer& to) { to.map(1), to.string("name"), to.string("Ada"); });
}
std::string key() {
  return map_of([](writer& to) { to.map(1), to.string("key"), to.string("ada"); });
}
std::string joins(std::vector<std::string> names, std::uint32_t slots = 4) {
  manifest hello{"hello", "1.0.0", {}, slots, 1, {}};
  for (auto& each : names) hello.commands.emplace_back().name = std::move(each);
  hello.commands[0].retry = retry_class::safe;
  std::string bytes, out;
  append_manifest(bytes, hello);
  append_join(out, 1, bytes);
  return out;
}

/// What our own encoder, or a broker that is fed with the examples, makes of the same.
std::map<std::string, std::function<std::string()>> encoders(const std::map<std::string, std::string>& example) {
  const auto bytes = [](auto&& append) {
    return [append] {
      std::string out;
      append(out);
      return out;
    };
  };
  return {
      {"hello", bytes([](std::string& to) {
         append_hello(to, 1, map_of([](writer& about) {
                        about.map(2), about.string("name"), about.string("shop"), about.string("bundle"), about.unsigned_integer(64);
                      }));
       })},
      {"welcome", [&] { return one_broker{}.answer(0, example.at("hello")); }},
      {"call", bytes([](std::string& to) { append_call(to, 7, "hello.say", say(), 1500, key()); })},
      {"attached",
       [&] {
         message made;
         append_call(made.bundle, 7, "hello.say", payload_field::attached(made, attachment{say()}), 1500, {});
         return made.bundle;
       }},
      {"leased",
       [&] {
         one_broker net;
         net.answer(0, example.at("join"));
         return net.answer(1, example.at("call"));
       }},
      {"part", bytes([](std::string& to) { append_part(to, 1 << 24, "\x01"); })},
      {"reply", bytes([](std::string& to) {
         append_reply(to, 1 << 24, status::ok,
                      map_of([](writer& reply) { reply.map(1), reply.string("message"), reply.string("hello Ada"); }), {});
       })},
      {"error",
       [&] {
         one_broker net;
         net.answer(0, example.at("join"));
         net.answer(0, example.at("leave"));
         net.after(2s);  // so long the service is held
         return net.answer(1, example.at("call"));
       }},
      {"credit", bytes([](std::string& to) { append_credit(to, 7, 16); })},
      {"cancel", bytes([](std::string& to) { append_cancel(to, 7); })},
      {"emit", bytes([](std::string& to) { append_emit(to, 9, "order.placed", "\x2a", {}); })},
      {"receipt", [&] { return one_event_core{}.answer(example.at("emit")); }},
      {"published", bytes([](std::string& to) { append_event(to, 0, "order.placed", "\x2a", {}); })},
      {"event",
       [&] {
         one_event_core net;
         net.answer(example.at("emit"));
         return net.broadcast("order.placed");
       }},
      {"head",
       [&] {
         one_event_core net;
         net.answer(example.at("emit"));
         return net.head();
       }},
      {"delivered",
       [&] {
         one_event_core net;
         std::string emit;
         append_emit(emit, 9, "order.placed", "\x2a", key());
         net.answer(emit);
         return net.delivered();
       }},
      {"later", bytes([](std::string& to) {
         append_call(to, 7, "report.make", "\x2a", 5000, map_of([](writer& headers) {
                       headers.map(1), headers.string("later"), headers.string("60000");
                     }));
       })},
      {"accepted", [&] { return one_event_core{}.answer(example.at("later")); }},
      {"join-events", bytes([](std::string& to) {
         append_join(to, 1, map_of([](writer& about) {
                       about.map(3), about.string("service"), about.string("mailer"), about.string("commands"), about.array(0);
                       about.string("events"), about.array(1), about.map(2), about.string("topic"), about.string("order.*");
                       about.string("from"), about.string("beginning");
                     }));
       })},
      {"join", [] { return joins({"hello.say"}); }},
      {"join-quick", bytes([](std::string& to) {
         manifest hello{"hello", "1.0.0", {}, 4, 1, {}, false, {}, 1024};
         hello.commands.emplace_back().name = "hello.say";
         hello.commands.back().retry = retry_class::safe;
         hello.commands.back().quick = true;
         hello.commands.emplace_back().name = "hello.sing";
         std::string manifest_bytes;
         append_manifest(manifest_bytes, hello);
         append_join(to, 1, manifest_bytes);
       })},
      {"leave", bytes([](std::string& to) { append_leave(to, 2); })},
      {"pulse", bytes([](std::string& to) { append_pulse(to); })},
      {"pulse-seats",
       [] {
         one_broker net;
         net.answer(0, joins({"a", "b", "c"}));
         return net.after(1s);
       }},
      {"pulse-none", [&] { return one_broker{}.answer(0, example.at("pulse")); }},
      {"bundle", bytes([](std::string& to) {
         append_cancel(to, 7);
         append_call(to, 8, "waggle.ping", {}, 1000, {});
       })},
  };
}

}  // namespace

TEST_CASE("PROTOCOL.md: every example is what the code writes", "[protocol]") {
  const auto written = examples();
  const auto ours = encoders(written);
  for (const auto& [name, encode] : ours) {
    CAPTURE(name);
    REQUIRE(written.contains(name));
    CHECK(written.at(name) == encode());
  }
  for (const auto& [name, bytes] : written) {
    CAPTURE(name);
    CHECK((ours.contains(name) || name == "newer"));
  }
}

TEST_CASE("PROTOCOL.md: every example is read whole, and is refused when a byte is missing", "[protocol]") {
  const std::map<std::string, std::vector<decoded>> what{
      {"bundle", {decoded::frame, decoded::frame}}, {"newer", {decoded::frame, decoded::unknown, decoded::frame}}};
  for (const auto& [name, bytes] : examples()) {
    CAPTURE(name);
    const std::vector<attachment> beside(1, attachment{say()});
    bundle_reader in{{bytes, beside}};
    frame out;
    std::vector<decoded> got;
    for (auto read = in.next(out); read != decoded::end && read != decoded::broken; read = in.next(out)) got.push_back(read);
    CHECK(in.why() == nullptr);
    CHECK(got == (what.contains(name) ? what.at(name) : std::vector{decoded::frame}));
    const auto cut = bytes.substr(0, bytes.size() - 1);
    bundle_reader shorter{{cut, beside}};
    auto last = shorter.next(out);
    while (last == decoded::frame || last == decoded::unknown) last = shorter.next(out);
    CHECK(last == (cut.empty() ? decoded::end : decoded::broken));
  }
}

TEST_CASE("PROTOCOL.md: the examples mean what stands beside them", "[protocol]") {
  const auto all = examples();
  const auto read = [&](const std::string& name) {
    frame out;
    CHECK(bundle_reader{all.at(name)}.next(out) == decoded::frame);
    return out;
  };
  CHECK(read("call").name == "hello.say");
  CHECK(read("call").id == 7);
  CHECK(read("call").budget_ms == 1500);
  CHECK(read("call").payload == say());
  CHECK(read("call").headers == key());
  CHECK(read("leased").id == 1 << 24);
  CHECK(read("error").status == status::unavailable);
  CHECK_FALSE(read_error(status::unavailable, read("error").payload).may_have_run);
  CHECK(read_error(status::unavailable, read("error").payload).retry_after == 100ms);
  CHECK(read_manifest(read("join").manifest)->commands[0].name == "hello.say");
  const auto quick = read_manifest(read("join-quick").manifest);
  CHECK((quick && quick->quick_slots == 1024 && quick->commands[0].quick && !quick->commands[1].quick));
  const auto mailer = read_manifest(read("join-events").manifest);
  REQUIRE(mailer);
  CHECK((mailer->events[0].topic == "order.*" && mailer->events[0].from_beginning));
  CHECK((read("event").id == 1042 && !read("event").about.empty() && read("published").about.empty()));
  CHECK(read("pulse-seats").seats == 3);
  CHECK(read("newer").id == 7);
}

TEST_CASE("PROTOCOL.md: the table of statuses is that of status.hpp", "[protocol]") {
  std::vector<std::string> rows;
  for (const auto& line : lines_of_the_page()) {
    const bool is_frame_type = line.find(" [") != line.npos;
    if (line.starts_with("| ") && line.size() > 2 && line[2] >= '0' && line[2] <= '9' && !is_frame_type) rows.push_back(line);
  }
  std::vector<std::string> ours;
  for (const auto& each : status_table) {
    std::ostringstream row;
    row << "| " << static_cast<int>(each.code) << " | `" << each.name << "` | " << each.meaning << " | "
        << (each.retryable ? "yes" : "no") << " | " << each.http << " | " << each.exit_code << " |";
    ours.push_back(row.str());
  }
  CHECK(rows == ours);
}

TEST_CASE("PROTOCOL.md: the limits that it names are those of limits.hpp", "[protocol]") {
  std::string page;
  for (const auto& line : lines_of_the_page()) page += line + " ";
  const auto says = [&](std::string_view text) {
    CAPTURE(text);
    CHECK(page.find(text) != page.npos);
  };
  CHECK((protocol_version == 1 && message_bytes_max == 8u << 20 && payload_bytes_max == 4u << 20));
  says("A message is at most 8 MiB");
  says("at most 4 MiB. It holds one msgpack value");
  says("up to " + std::to_string(bundle_frames_max) + ", and closes a bundle once it has grown to " +
       std::to_string(bundle_bytes_soft_max >> 10) + " KiB");
  says("1 to " + std::to_string(name_bytes_max) + " bytes of UTF-8");
  says("at most " + std::to_string(headers_bytes_max >> 10) + " KiB and " + std::to_string(headers_count_max) + " entries");
  says("at most " + std::to_string(manifest_bytes_max >> 20) + " MiB");
  says("array of maps, 1 to " + std::to_string(manifest_commands_max));
  says("array of at most " + std::to_string(manifest_routes_max) + " str");
  says("integer, 1 to " + std::to_string(slots_max) + "; default 1");
  says("str, 1 to " + std::to_string(key_bytes_max) + " bytes");
  says("array of at most " + std::to_string(manifest_events_max) + " maps");
  says("integer, 1 to " + std::to_string(event_attempts_max) + "; default " + std::to_string(event_manifest{}.attempts));
  says("is at most " + std::to_string(about_bytes_max >> 10) + " KiB. An event of an ephemeral topic");
  const broker::event_settings events;
  says("In each stream a group has up to " + std::to_string(events.in_flight_max) + " events under way");
  CHECK((events.window_max == 10'000 && events.untaken_max == 10min && events.unserved_max == 24h && events.keep_operations == 24h &&
         events.once_within == 10min && events.command_attempts == 8 && events.backoff == 1s && events.backoff_max == 5min));
  const broker::stream_settings stream;
  CHECK((stream.keep == 7 * 24h && stream.keep_bytes == 1u << 30 && stream.full_bytes == 8ull << 30));
  says("nest at most " + std::to_string(depth_max) + " deep");
  says("one day (86 400 000)");
}
