// Majordomo peers of both versions, and WGL/1 peers beside them, at the adapter and the core, in virtual time. The input is a script
// of one letter and a few digits for each operation (any other bytes mean something, too):
//
//   W peer version service   READY        R peer version how       REPLY or PARTIAL to what the worker has got
//   C peer version service n REQUEST with n frames                 H peer version   HEARTBEAT    D peer version   DISCONNECT
//   B peer n (length bytes)* any frames   J peer, Q peer service   a WGL/1 worker joins, a WGL/1 caller calls
//   A peer                   a WGL/1 worker answers what it has    U peer  its connection is lost    T time   time passes
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/majordomo/adapter.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/fuzz/script.hpp"

using namespace std::chrono_literals;
using namespace waggle;
using namespace waggle::broker;
using waggle::fuzz::require;
using waggle::fuzz::script;
using owned_frames = std::vector<std::string>;

namespace {

constexpr std::uint32_t peers = 6;
constexpr std::size_t operations_max = 150;
constexpr std::string_view services[] = {"echo", "a", "mmi.service", "mmi.x", "waggle.services", "no name"};

struct peer_book {
  bool known = false;
  bool speaks_majordomo = false;                          ///< as its first message has shown
  std::map<std::string, std::size_t, std::less<>> asked;  ///< a Majordomo client's requests without their answers, by service
  std::vector<std::string> at_hand;                       ///< a Majordomo worker's requests, by address
  std::vector<std::uint64_t> leases;                      ///< a WGL/1 worker's
};

class world {
 public:
  void play(script in) {
    for (std::size_t i = 0; i < operations_max && !in.done(); ++i) one(in);
    for (instant until = now_ + 10min; now_ < until;) advance(10s);
    require(adapter_.peer_count() == 0 && core_.peer_count() == 0 && core_.open_calls() == 0, "nobody is left who has been silent for long");
  }

 private:
  void one(script& in) {
    constexpr milliseconds spans[] = {1ms, 100ms, 1s, 3s, 10s};
    const char what = in.operation("WRCHDBJQAUT");
    if (what == 'T') return advance(in.one_of(spans));
    const auto peer = in.below(peers);
    auto& book = books_[peer];
    std::string bundle;
    switch (what) {
      case 'J': {
        manifest joins{"echo", "1", {}, 4, 1, {}};
        joins.commands.emplace_back().name = services[0];
        std::string bytes;
        wire::append_manifest(bytes, joins);
        wire::append_join(bundle, 1, bytes);
        return send(peer, {bundle});
      }
      case 'Q':
        wire::append_call(bundle, ++last_id_, in.one_of(services), in.below(2) == 0 ? "\x01" : "\xc4\x01x", 5000, {});
        return send(peer, {bundle});
      case 'A':
        for (const auto lease : std::exchange(book.leases, {})) {
          wire::append_part(bundle, lease, "\x01");
          wire::append_reply(bundle, lease, status::ok, "\xa1r", {});
        }
        return send(peer, {bundle});
      case 'U':
        core_.unreachable(now_, peer_id{peer}, {}, out_);
        return perform();
      case 'B': {
        owned_frames message;
        for (auto left = in.below(6) + 1; left > 0; --left) message.emplace_back(in.bytes());
        return send(peer, message);
      }
      default: return send(peer, message_from(in, what, book));
    }
  }

  /// What a client or worker of Majordomo says, mostly as it should.
  static owned_frames message_from(script& in, char what, const peer_book& book) {
    const bool is_old = in.below(2) == 1;
    owned_frames out;
    if (is_old) out.emplace_back();
    const auto version = is_old ? "01" : "02";
    out.push_back((what == 'C' ? "MDPC" : "MDPW") + std::string{version});
    const auto command = [&](char in_02) { out.emplace_back(1, static_cast<char>(is_old && in_02 > 2 ? in_02 - 1 : in_02)); };
    switch (what) {
      case 'C':
        if (!is_old) command(1);
        out.emplace_back(in.one_of(services));
        for (auto left = in.below(4); left > 0; --left) out.emplace_back("echo");
        break;
      case 'W':
        command(1);
        out.emplace_back(in.one_of(services));
        break;
      case 'R': {
        const auto how = in.below(4);
        command(how == 1 ? 3 : 4);
        out.push_back(book.at_hand.empty() || how == 2 ? std::string(8, '\x01') : book.at_hand.front());
        if (how != 3) out.emplace_back();
        out.emplace_back("answer");
        break;
      }
      case 'H': command(5); break;
      default: command(6); break;
    }
    return out;
  }

  void send(std::uint32_t peer, const owned_frames& message) {
    auto& book = books_[peer];
    const std::vector<std::string_view> views{message.begin(), message.end()};
    const auto from = peer_id{peer};
    if (!std::exchange(book.known, true)) book.speaks_majordomo = views.size() > 1 && majordomo::dialect_of(views).has_value();
    if (book.speaks_majordomo) {
      note_sent(book, message);
      adapter_.receive(now_, from, views, true, core_, out_);
    } else if (views.size() == 1) {
      core_.receive(now_, from, views[0], out_);
    } else {
      core_.receive_garbage(now_, from, "garbage", out_);
    }
    perform();
  }

  static void note_sent(peer_book& book, const owned_frames& message) {
    const std::size_t at = !message.empty() && message[0].empty() ? 1 : 0;
    if (message.size() <= at) return;
    const bool is_old = at == 1;
    const auto behind = at + (is_old ? 1 : 2);
    if (message[at].starts_with("MDPC") && message.size() > behind) ++book.asked[message[behind]];
    if (!message[at].starts_with("MDPW") || message.size() < at + 3) return;
    if (message[at + 1] == (is_old ? "\x03" : "\x04")) std::erase(book.at_hand, message[at + 2]);
  }

  void advance(milliseconds by) {
    for (const auto until = now_ + by; now_ < until;) {
      now_ = std::min(until, std::max(now_ + 1ms, std::min(core_.next_deadline(), adapter_.next_deadline())));
      if (adapter_.next_deadline() <= now_) adapter_.tick(now_, core_, out_);
      core_.tick(now_, out_);
      perform();
      require(core_.next_deadline() > now_ && adapter_.next_deadline() > now_, "after a tick nobody wants the clock at once");
    }
  }

  /// What a shell does.
  void perform() {
    while (!out_.empty() || adapter_.unsettled()) {
      for (std::size_t i = 0; i < out_.messages(); ++i) {
        const auto to = out_.message_at(i).to;
        const auto& bytes = out_.message_at(i).bundle;
        auto& book = books_[static_cast<std::uint32_t>(to)];
        require(book.known, "nothing is sent to a peer that is forgotten");
        if (!book.speaks_majordomo) {
          deliver_bundle(book, bytes);
        } else if (const auto parts = adapter_.translate(now_, to, bytes, out_); !parts.empty()) {
          deliver(book, parts);
        }
      }
      for (const auto each : out_.forgotten()) {
        adapter_.forget(each);
        books_[static_cast<std::uint32_t>(each)] = {};
      }
      out_.clear();
      adapter_.settle(now_, core_, out_);
      require(adapter_.collected_bytes() <= 48, "no more is collected than may be");
    }
  }

  static void deliver_bundle(peer_book& book, std::string_view bytes) {
    wire::bundle_reader frames{bytes};
    wire::frame in;
    for (auto read = frames.next(in); read != wire::decoded::end; read = frames.next(in)) {
      require(read == wire::decoded::frame, "everything that is sent decodes");
      if (in.type == wire::frame_type::call) book.leases.push_back(in.id);
    }
  }

  static void deliver(peer_book& book, majordomo::frames parts) {
    const owned_frames message{parts.begin(), parts.end()};
    require(majordomo::dialect_of(parts).has_value(), "what Majordomo peers get is Majordomo's");
    const bool is_old = message[0].empty();
    const auto& header = message[is_old ? 1 : 0];
    const std::size_t at = is_old ? 2 : 1;
    if (header.starts_with("MDPC")) {
      const bool is_partial = !is_old && message.size() > at && message[at] == "\x02";
      const auto service = at + (is_old ? 0 : 1);
      require(message.size() > service, "an answer names its service");
      const auto asked = book.asked.find(message[service]);
      require(asked != book.asked.end() && asked->second > 0, "a client gets what it has asked for, and no more often");
      if (!is_partial) --asked->second;
      return;
    }
    require(message.size() > at && message[at].size() == 1, "a worker gets commands");
    const char command = static_cast<char>(message[at][0] + (is_old && message[at][0] > 2 ? 1 : 0));
    require(command == 2 || command == 5 || command == 6, "a worker gets REQUEST, HEARTBEAT and DISCONNECT");
    if (command == 6) book.at_hand.clear();
    if (command != 2) return;
    require(message.size() > at + 2 && message[at + 2].empty(), "a REQUEST has an address and an empty frame behind it");
    require(book.at_hand.empty(), "a worker gets one request at a time");
    book.at_hand.push_back(message[at + 1]);
  }

  static settings core_settings() {
    settings out;
    out.peers_max = 5;
    return out;
  }

  broker_core core_{core_settings()};
  outbox out_;
  majordomo::adapter adapter_{majordomo::settings{.requests_max = 4, .collected_bytes_max = 16, .all_collected_bytes_max = 48}, 1s, 3s};
  instant now_ = instant{} + 1h;
  std::array<peer_book, peers> books_;
  std::uint64_t last_id_ = 1;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  std::vector<std::string_view> body, again;
  if (majordomo::read_body(bytes, body)) {
    std::string payload;
    majordomo::append_payload(body, payload);
    require(majordomo::read_body(payload, again) && again == body, "frames survive being a payload");
  }
  world{}.play(script{bytes});
  return 0;
}
