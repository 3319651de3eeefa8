#include "tools/waggle/frame_text.hpp"

#include <array>
#include <optional>

#include <waggle/wire/json.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

namespace waggle::cli {
namespace {

struct type_info {
  std::string_view name;
  std::uint32_t payload_at;  // the element that is the payload; 0: none
};

/// By the number of the type (PROTOCOL.md, "Frames").
constexpr std::array<type_info, 11> known_types{{{"HELLO", 0},
                                           {"CALL", 3},
                                           {"CANCEL", 0},
                                           {"PART", 2},
                                           {"REPLY", 3},
                                           {"EMIT", 3},
                                           {"EVENT", 3},
                                           {"JOIN", 0},
                                           {"LEAVE", 0},
                                           {"PULSE", 0},
                                           {"CREDIT", 0}}};

/// The type that a frame's first element says, by number or name.
std::optional<std::uint64_t> type_of(std::string_view element) {
  wire::reader in{element};
  std::uint64_t number = 0;
  std::string_view name;
  if (in.peek() == wire::kind::unsigned_integer) {
    in.unsigned_integer(number);
    return number < known_types.size() ? std::optional{number} : std::nullopt;
  }
  if (in.peek() != wire::kind::string || !in.string(name)) return std::nullopt;
  for (std::size_t i = 0; i < known_types.size(); ++i) {
    if (known_types[i].name == name) return i;
  }
  return std::nullopt;
}

/// Writes an array anew with each element as `on_element(index, bytes)` wants it.
template <class OnElement>
std::string rewritten(std::string_view array, OnElement&& on_element) {
  std::string bytes;
  wire::writer out{bytes};
  wire::reader in{array};
  std::uint32_t count = 0;
  if (!in.array(count)) return std::string{array};
  out.array(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view element;
    if (!in.raw(element)) return std::string{array};
    on_element(out, i, element);
  }
  return bytes;
}

std::optional<std::uint64_t> type_of_frame(std::string_view frame) {
  wire::reader in{frame};
  std::uint32_t count = 0;
  std::string_view first;
  if (in.peek() != wire::kind::array || !in.array(count) || count == 0 || !in.raw(first)) return std::nullopt;
  return type_of(first);
}

bool is_one_value(std::string_view bytes) {
  wire::reader in{bytes};
  return in.skip() && in.at_end();
}

/// `attached`: what the frame's payload is, if it came beside the bundle.
std::string json_form(std::string_view frame, const wire::attachment* attached) {
  const auto type = type_of_frame(frame);
  if (!type || known_types[*type].payload_at == 0) return wire::msgpack_to_json(frame);
  return wire::msgpack_to_json(rewritten(frame, [&](wire::writer& out, std::uint32_t i, std::string_view element) {
    wire::reader in{element};
    std::string_view inside;
    const bool in_place = i == known_types[*type].payload_at;
    const bool is_inside = in_place && in.peek() == wire::kind::binary && in.binary(inside);
    if (in_place && attached != nullptr) inside = attached->bytes();
    const bool is_payload = is_inside || (in_place && attached != nullptr);
    out.raw(is_payload && is_one_value(inside) ? inside : element);
  }));
}

/// Where an event is from, as far as its frame says: "events 1042", and of a delivery "to shop, attempt 2 of 8" behind it.
std::string origin_of(std::string_view about) {
  std::string_view stream, group;
  std::uint64_t sequence = 0, attempt = 0, attempts_max = 0;
  wire::reader in{about};
  if (about.empty() || in.peek() != wire::kind::map) return "";
  const auto text = [&](std::string_view& to) { return in.peek() == wire::kind::string ? in.string(to) : in.skip(); };
  const auto number = [&](std::uint64_t& to) { return in.peek() == wire::kind::unsigned_integer ? in.unsigned_integer(to) : in.skip(); };
  const bool whole = wire::read_entries(in, [&](std::string_view key) {
    if (key == "stream") return text(stream);
    if (key == "group") return text(group);
    if (key == "sequence") return number(sequence);
    if (key == "attempt") return number(attempt);
    if (key == "attempts_max") return number(attempts_max);
    return in.skip();
  });
  if (!whole) return "";
  std::string out;
  if (!stream.empty()) out.append(" of ").append(stream);
  if (sequence != 0) out += " " + std::to_string(sequence);
  if (!group.empty()) out.append(" to ").append(group);
  if (attempt != 0) out += ", attempt " + std::to_string(attempt) + (attempts_max != 0 ? " of " + std::to_string(attempts_max) : "");
  return out;
}

std::string label_of(const wire::frame& in) {
  std::string out{known_types[static_cast<std::size_t>(in.type)].name};
  if (in.type != wire::frame_type::pulse) out += ' ' + std::to_string(in.id);
  if (in.type == wire::frame_type::reply) out += ' ' + std::string{name(in.status)};
  if (in.type == wire::frame_type::event) out += origin_of(in.about);
  if (in.attached != nullptr) out += ", " + std::to_string(in.payload.size()) + " bytes attached";
  return out;
}

}  // namespace

result<std::string> frame_from_json(std::string_view json) {
  auto plain = wire::json_to_msgpack(json);
  if (!plain) return plain;
  const auto type = type_of_frame(*plain);
  if (!type) return plain;
  return rewritten(*plain, [&](wire::writer& out, std::uint32_t i, std::string_view element) {
    if (i == 0) {
      out.unsigned_integer(*type);
    } else if (i == known_types[*type].payload_at && wire::reader{element}.peek() != wire::kind::nil) {
      out.binary(element);
    } else {
      out.raw(element);
    }
  });
}

std::vector<shown_frame> show_frames(const wire::message_view& message) {
  std::vector<shown_frame> out;
  wire::reader in{message.bundle};
  while (!in.at_end()) {
    const auto from = in.offset();
    std::string_view bytes;
    if (!in.raw(bytes)) {
      out.push_back(
          {"", "", std::string{in.why()} + " (at byte " + std::to_string(in.offset()) + ")", message.bundle.substr(from)});
      break;
    }
    wire::bundle_reader frames{{bytes, message.attachments}};
    wire::frame frame;
    const auto how = frames.next(frame);
    shown_frame shown{"", json_form(bytes, frame.attached), "", bytes};
    switch (how) {
      case wire::decoded::frame:
        shown.label = label_of(frame);
        shown.is_reply = frame.type == wire::frame_type::reply;
        break;
      case wire::decoded::unknown:
        shown.problem = "a frame of a type that this version does not know";
        break;
      default:
        shown.problem = frames.why();
        break;
    }
    out.push_back(std::move(shown));
  }
  return out;
}

std::size_t replies_wanted(std::string_view message) {
  std::size_t out = 0;
  wire::bundle_reader frames{message};
  wire::frame frame;
  for (;;) {
    const auto got = frames.next(frame);
    if (got == wire::decoded::end || got == wire::decoded::broken) return out;
    if (got != wire::decoded::frame) continue;
    switch (frame.type) {
      case wire::frame_type::call:
      case wire::frame_type::hello:
      case wire::frame_type::join:
      case wire::frame_type::leave:
        ++out;
        break;
      case wire::frame_type::emit:
        out += frame.id != 0 ? 1 : 0;
        break;
      default:
        break;
    }
  }
}

}  // namespace waggle::cli
