#include "broker/majordomo/message.hpp"

#include <array>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::broker::majordomo {

namespace {

using namespace std::string_view_literals;

constexpr std::array names{"MDPC01"sv, "MDPC02"sv, "MDPW01"sv, "MDPW02"sv};  // by dialect

/// The byte of each verb, by position from 1. A client of 0.1 sends and gets none.
constexpr std::array client_02{verb::request, verb::partial, verb::final};
constexpr std::array worker_01{verb::ready, verb::request, verb::final, verb::heartbeat, verb::disconnect};
constexpr std::array worker_02{verb::ready, verb::request, verb::partial, verb::final, verb::heartbeat, verb::disconnect};

std::span<const verb> verbs_of(dialect speaks) {
  switch (speaks) {
    case dialect::client_02: return client_02;
    case dialect::worker_01: return worker_01;
    case dialect::worker_02: return worker_02;
    case dialect::client_01: break;
  }
  return {};
}

constexpr bool begins_empty(dialect speaks) { return speaks == dialect::client_01 || speaks == dialect::worker_01; }

bool text_or_bytes(wire::reader& in, std::string_view& out) {
  return in.peek() == wire::kind::string ? in.string(out) : in.peek() == wire::kind::binary && in.binary(out);
}

}  // namespace

std::optional<dialect> dialect_of(frames message) {
  const bool empty_first = !message.empty() && message[0].empty();
  if (message.size() < (empty_first ? 2u : 1u)) return std::nullopt;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto speaks = static_cast<dialect>(i);
    if (begins_empty(speaks) == empty_first && message[empty_first ? 1 : 0] == names[i]) return speaks;
  }
  return std::nullopt;
}

std::optional<command> read_command(dialect speaks, frames message) {
  auto rest = message.subspan(begins_empty(speaks) ? 2 : 1);
  if (speaks == dialect::client_01) return command{verb::request, rest};
  if (rest.empty() || rest[0].size() != 1) return std::nullopt;
  const auto verbs = verbs_of(speaks);
  const auto code = static_cast<std::uint8_t>(rest[0][0]);
  if (code < 1 || code > verbs.size()) return std::nullopt;
  return command{verbs[code - 1], rest.subspan(1)};
}

void begin_message(dialect to, verb what, std::vector<std::string_view>& out) {
  static constexpr char codes[] = "\x01\x02\x03\x04\x05\x06";
  out.clear();
  if (begins_empty(to)) out.emplace_back();
  out.push_back(names[static_cast<std::size_t>(to)]);
  const auto verbs = verbs_of(to);
  for (std::size_t i = 0; i < verbs.size(); ++i) {
    if (verbs[i] == what) out.emplace_back(codes + i, 1);
  }
}

void append_payload(frames body, std::string& out) {
  wire::writer writer{out};
  if (body.size() > 1) writer.array(body.size());
  for (const auto each : body) writer.binary(each);
}

bool read_body(std::string_view payload, std::vector<std::string_view>& out) {
  out.clear();
  if (payload.empty()) return true;
  wire::reader in{payload};
  std::string_view frame;
  std::uint32_t count = 1;
  if (in.peek() == wire::kind::nil) {
    in.nil();
    count = 0;
  } else if (in.peek() == wire::kind::array && (!in.array(count) || count > body_frames_max)) {
    out.assign(1, payload);
    return false;
  }
  for (; count > 0 && text_or_bytes(in, frame); --count) out.push_back(frame);
  if (count == 0 && in.at_end()) return true;
  out.assign(1, payload);
  return false;
}

}  // namespace waggle::broker::majordomo
