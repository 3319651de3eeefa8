#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <waggle/wire/limits.hpp>
#include <waggle/wire/message.hpp>
#include <waggle/wire/reader.hpp>
#include <waggle/wire/status.hpp>
#include <waggle/wire/writer.hpp>

/// The command frames of WGL/1; broker/PROTOCOL.md says the same for peers in other languages.
namespace waggle::wire {

enum class frame_type : std::uint8_t {
  hello = 0,
  call = 1,
  cancel = 2,
  part = 3,
  reply = 4,
  emit = 5,
  event = 6,
  join = 7,
  leave = 8,
  pulse = 9,
  credit = 10,
};

/// As many PARTs as the worker likes.
inline constexpr std::uint64_t no_credit_limit = ~std::uint64_t{0};

/// One decoded command frame. Views point into the message. Which members mean something depends on the type; the others are
/// empty.
struct frame {
  frame_type type = frame_type::pulse;
  std::uint64_t id = 0;         ///< all but pulse
  std::string_view name;        ///< call: command; emit, event: topic
  std::string_view payload;     ///< call, part, reply, emit, event: one msgpack value; empty when it was nil
  const attachment* attached = nullptr;  ///< what keeps the payload, if it came as an attachment
  std::string_view headers;     ///< call, reply, emit, event: one msgpack map; empty when it was nil
  std::string_view key;         ///< the header `key`; empty if it is none, or no string
  std::string_view manifest;    ///< join: the manifest; hello: about. One msgpack map, or empty
  std::string_view about;       ///< event: where it is from. One msgpack map; empty when it did not come or was nil
  bool later = false;           ///< call: it has the header `later`, which asks for it to be kept and run when it can be
  std::uint64_t later_ms = 0;   ///< the time for each run that this header says; 0 if it says none
  bool claims = false;          ///< call, emit, event: it has the header `claims`: the caller says for which user it speaks
  bool operation = false;       ///< call: it has the header `operation`, which is the broker's
  std::uint64_t budget_ms = 0;  ///< call: time left, at most `budget_ms_max`
  std::uint64_t parts = no_credit_limit;  ///< call: PARTs that may be sent before CREDIT comes; credit: so many more
  waggle::status status{};      ///< reply
  std::uint64_t seats = 0;      ///< pulse from a broker: commands for which it counts on this peer; 0: not joined
};

enum class decoded : std::uint8_t {
  frame,    ///< one frame was read
  unknown,  ///< a well-formed frame of a type that this version does not know was stepped over
  end,      ///< nothing was left
  broken,   ///< the bytes are not a frame; `bundle_reader::why` and `offset` say what and where
};

/// Takes a message apart, frame by frame. Total over any bytes.
class bundle_reader {
 public:
  explicit bundle_reader(const message_view& message) : reader_{message.bundle}, attachments_{message.attachments} {}

  decoded next(frame& out) {
    if (reader_.at_end()) return decoded::end;
    std::uint32_t count = 0;
    std::uint64_t type = 0;
    if (!reader_.array(count)) return decoded::broken;
    if (count == 0) return broken("a frame begins with its type");
    if (!reader_.unsigned_integer(type)) return decoded::broken;
    out = empty_;
    std::uint32_t read = 1;
    if (type > static_cast<std::uint64_t>(frame_type::credit)) return rest(count, read) ? decoded::unknown : decoded::broken;
    out.type = static_cast<frame_type>(type);
    if (count < fields_min[type]) return broken("the frame has too few fields");
    return body(out, count, read) && rest(count, read) ? decoded::frame : decoded::broken;
  }

  [[nodiscard]] const char* why() const { return reader_.why(); }
  [[nodiscard]] std::size_t offset() const { return reader_.offset(); }

 private:
  /// The fewest fields each type has; a newer peer may send more, which are stepped over.
  static constexpr std::uint32_t fields_min[] = {3, 6, 2, 3, 5, 5, 5, 3, 2, 1, 3};

  [[gnu::always_inline]] bool body(frame& out, std::uint32_t count, std::uint32_t& read) {
    std::uint64_t number = 0;
    if (out.type != frame_type::pulse && !field(read, reader_.unsigned_integer(out.id))) return false;
    switch (out.type) {
      case frame_type::hello:
      case frame_type::join: return field(read, map(out.manifest, manifest_bytes_max, "the manifest is too large"));
      case frame_type::call:
        if (!field(read, name(out.name)) || !field(read, payload(out))) return false;
        if (!field(read, reader_.unsigned_integer(out.budget_ms))) return false;
        if (out.budget_ms > budget_ms_max) out.budget_ms = budget_ms_max;
        return field(read, headers(out)) && (count < 7 || field(read, credit(out.parts)));
      case frame_type::part: return field(read, payload(out));
      case frame_type::reply:
        if (!field(read, reader_.unsigned_integer(number))) return false;
        out.status = status_from(number);
        return field(read, payload(out)) && field(read, headers(out));
      case frame_type::emit:
      case frame_type::event:
        return field(read, name(out.name)) && field(read, payload(out)) && field(read, headers(out)) &&
               (out.type == frame_type::emit || count < 6 ||
                field(read, map(out.about, about_bytes_max, "what is said about the event is too large")));
      case frame_type::cancel:
      case frame_type::leave: return true;
      case frame_type::credit: return field(read, reader_.unsigned_integer(out.parts));
      case frame_type::pulse: return count < 2 || field(read, reader_.unsigned_integer(out.seats));
    }
    return false;
  }

  static bool field(std::uint32_t& read, bool ok) { return ++read, ok; }

  [[gnu::always_inline]] bool name(std::string_view& out) {
    if (!reader_.string(out)) return false;
    return is_name(out) || reader_.fail("a name is 1 to 128 bytes of UTF-8 without spaces or control characters");
  }

  [[gnu::always_inline]] bool payload(frame& out) {
    if (reader_.skip_nil()) return true;
    if (!reader_.at_binary() && reader_.peek() == kind::unsigned_integer) {
      if (!attached_payload(out)) return false;
    } else if (!reader_.binary(out.payload)) {
      return false;
    }
    return out.payload.size() <= payload_bytes_max || reader_.fail("the payload is too large");
  }

  [[gnu::noinline]] bool attached_payload(frame& out) {
    std::uint64_t number = 0;
    reader_.unsigned_integer(number);
    // Each is of one frame: otherwise a few bytes more would make another large payload of it for whoever cannot share it.
    if (number >= attachments_.size() || number < attachments_had_) {
      return reader_.fail("the payload is an attachment that the message does not have, or that an earlier frame has had");
    }
    attachments_had_ = number + 1;
    out.attached = &attachments_[number];
    out.payload = out.attached->bytes();
    return true;
  }

  bool map(std::string_view& out, std::size_t bytes_max, const char* too_large) {
    if (reader_.skip_nil()) return true;
    if (reader_.peek() != kind::map) return reader_.fail("expected a map");
    if (!reader_.raw(out)) return false;
    return out.size() <= bytes_max || reader_.fail(too_large);
  }

  [[gnu::always_inline]] bool headers(frame& out) { return reader_.skip_nil() || headers_map(out); }

  [[gnu::noinline]] bool headers_map(frame& out) {
    if (!map(out.headers, headers_bytes_max, "the headers are too large")) return false;
    reader inside{out.headers};
    std::uint32_t count = 0;
    std::string_view key, value;
    inside.map(count);
    if (count > headers_count_max) return reader_.fail("there are too many headers");
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!inside.string(key) || !is_name(key)) return reader_.fail("a header's name is a string that is a name");
      if (key == "key" && inside.peek() == kind::string) {
        inside.string(out.key);
      } else if (key == "later") {
        out.later = true;
        later(inside, out.later_ms);
      } else {
        out.claims = out.claims || key == "claims";
        out.operation = out.operation || key == "operation";
        inside.raw(value);
      }
    }
    return true;
  }

  /// Milliseconds as an integer or in digits; whatever else it says, the header is there.
  static void later(reader& in, std::uint64_t& out) {
    std::string_view text;
    if (in.peek() == kind::unsigned_integer) {
      in.unsigned_integer(out);
    } else if (in.peek() == kind::string) {
      in.string(text);
      for (const char c : text) {
        if (c < '0' || c > '9' || out > budget_ms_max) {
          if (c < '0' || c > '9') out = 0;
          break;
        }
        out = 10 * out + static_cast<std::uint64_t>(c - '0');
      }
    } else {
      in.raw(text);
    }
    if (out > budget_ms_max) out = budget_ms_max;
  }

  bool credit(std::uint64_t& out) { return reader_.skip_nil() || reader_.unsigned_integer(out); }

  bool rest(std::uint32_t count, std::uint32_t read) { return read >= count || step_over(count - read); }
  [[gnu::noinline]] bool step_over(std::uint32_t fields) {
    for (; fields > 0; --fields) {
      if (!reader_.skip()) return false;
    }
    return true;
  }

  decoded broken(const char* why) { return reader_.fail(why), decoded::broken; }

  reader reader_;
  std::span<const attachment> attachments_;
  std::uint64_t attachments_had_ = 0;
  frame empty_;  ///< copied, which compilers do in a few moves, where making one takes a `rep stos`, which is slow to begin
};

// Each of these appends one frame to a bundle. An empty payload, headers or manifest is written as nil. What goes in is
// trusted to be within the limits: it was checked when it was taken in.

namespace detail {
inline void payload_or_nil(frame_writer& out, const payload_field& payload) {
  if (payload.is_attached()) return out.unsigned_integer(payload.number());
  payload.bytes().empty() ? out.nil() : out.binary(payload.bytes());
}
inline void map_or_nil(frame_writer& out, std::string_view map) { map.empty() ? out.nil() : out.raw(map); }
inline void name_and_payload(frame_writer& out, std::string_view name, const payload_field& payload) {
  out.string(name);
  payload_or_nil(out, payload);
}
inline std::size_t call_fields(std::uint64_t parts) { return parts == no_credit_limit ? 6 : 7; }
inline void call_terms(frame_writer& out, std::uint64_t budget_ms, std::string_view headers, std::uint64_t parts) {
  out.unsigned_integer(budget_ms);
  map_or_nil(out, headers);
  if (parts != no_credit_limit) out.unsigned_integer(parts);
}
inline void open(frame_writer& out, std::size_t fields, frame_type type) {
  out.array(fields);
  out.number_below_128(static_cast<std::uint8_t>(type));
}
inline void open(frame_writer& out, std::size_t fields, frame_type type, std::uint64_t id) {
  open(out, fields, type);
  out.unsigned_integer(id);
}
}  // namespace detail

inline void append_hello(std::string& bundle, std::uint64_t id, std::string_view about) {
  frame_writer out{bundle};
  detail::open(out, 3, frame_type::hello, id);
  detail::map_or_nil(out, about);
}

/// What a CALL or an EMIT says whenever it leaves, and to whomever: its name and its payload, as they stand in the frame.
inline void append_contents(std::string& contents, std::string_view name, const payload_field& payload) {
  frame_writer out{contents};
  detail::name_and_payload(out, name, payload);
}

inline void append_call(std::string& bundle, std::uint64_t id, std::string_view command, const payload_field& payload,
                        std::uint64_t budget_ms, std::string_view headers, std::uint64_t parts = no_credit_limit) {
  frame_writer out{bundle};
  detail::open(out, detail::call_fields(parts), frame_type::call, id);
  detail::name_and_payload(out, command, payload);
  detail::call_terms(out, budget_ms, headers, parts);
}
/// The same of what `append_contents` has written.
inline void append_call_of(std::string& bundle, std::uint64_t id, std::string_view contents, std::uint64_t budget_ms, std::string_view headers,
                           std::uint64_t parts = no_credit_limit) {
  frame_writer out{bundle};
  detail::open(out, detail::call_fields(parts), frame_type::call, id);
  out.raw(contents);
  detail::call_terms(out, budget_ms, headers, parts);
}

inline void append_cancel(std::string& bundle, std::uint64_t id) {
  frame_writer out{bundle};
  detail::open(out, 2, frame_type::cancel, id);
}

/// The caller takes so many PARTs more.
inline void append_credit(std::string& bundle, std::uint64_t id, std::uint64_t parts) {
  frame_writer out{bundle};
  detail::open(out, 3, frame_type::credit, id);
  out.unsigned_integer(parts);
}

inline void append_part(std::string& bundle, std::uint64_t id, const payload_field& payload) {
  frame_writer out{bundle};
  detail::open(out, 3, frame_type::part, id);
  detail::payload_or_nil(out, payload);
}

inline void append_reply(std::string& bundle, std::uint64_t id, status code, const payload_field& payload, std::string_view headers) {
  frame_writer out{bundle};
  detail::open(out, 5, frame_type::reply, id);
  out.unsigned_integer(static_cast<std::uint64_t>(code));
  detail::payload_or_nil(out, payload);
  detail::map_or_nil(out, headers);
}

inline void append_emit(std::string& bundle, std::uint64_t id, std::string_view topic, const payload_field& payload,
                        std::string_view headers) {
  frame_writer out{bundle};
  detail::open(out, 5, frame_type::emit, id);
  detail::name_and_payload(out, topic, payload);
  detail::map_or_nil(out, headers);
}
/// The same of what `append_contents` has written.
inline void append_emit_of(std::string& bundle, std::uint64_t id, std::string_view contents, std::string_view headers) {
  frame_writer out{bundle};
  detail::open(out, 5, frame_type::emit, id);
  out.raw(contents);
  detail::map_or_nil(out, headers);
}

/// To a member of a consumer group `id` is a lease; in the second part of a PUB/SUB message, whose first part is the topic alone, the
/// sequence number in the event's stream. `about` is one msgpack map, or nothing.
inline void append_event(std::string& bundle, std::uint64_t id, std::string_view topic, const payload_field& payload,
                         std::string_view headers, std::string_view about = {}) {
  frame_writer out{bundle};
  detail::open(out, about.empty() ? 5 : 6, frame_type::event, id);
  out.string(topic);
  detail::payload_or_nil(out, payload);
  detail::map_or_nil(out, headers);
  if (!about.empty()) out.raw(about);
}

inline void append_join(std::string& bundle, std::uint64_t id, std::string_view manifest) {
  frame_writer out{bundle};
  detail::open(out, 3, frame_type::join, id);
  detail::map_or_nil(out, manifest);
}

inline void append_leave(std::string& bundle, std::uint64_t id) {
  frame_writer out{bundle};
  detail::open(out, 2, frame_type::leave, id);
}

inline void append_pulse(std::string& bundle) {
  frame_writer out{bundle};
  detail::open(out, 1, frame_type::pulse);
}

/// A broker's pulse, which says on how many commands it counts on the peer.
inline void append_pulse(std::string& bundle, std::uint64_t seats) {
  frame_writer out{bundle};
  detail::open(out, 2, frame_type::pulse);
  out.unsigned_integer(seats);
}

}  // namespace waggle::wire
