// Any bytes as a bundle, with attachments beside it: what is decoded lies inside them, is within the limits, and survives being written and read again.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>

#include "tests/fuzz/require.hpp"

using namespace waggle;
using namespace waggle::wire;
using waggle::fuzz::require;

namespace {

void append(std::string& bundle, const frame& from) {
  switch (from.type) {
    case frame_type::hello: return append_hello(bundle, from.id, from.manifest);
    case frame_type::call: return append_call(bundle, from.id, from.name, from.payload, from.budget_ms, from.headers, from.parts);
    case frame_type::cancel: return append_cancel(bundle, from.id);
    case frame_type::part: return append_part(bundle, from.id, from.payload);
    case frame_type::reply: return append_reply(bundle, from.id, from.status, from.payload, from.headers);
    case frame_type::emit: return append_emit(bundle, from.id, from.name, from.payload, from.headers);
    case frame_type::event: return append_event(bundle, from.id, from.name, from.payload, from.headers);
    case frame_type::join: return append_join(bundle, from.id, from.manifest);
    case frame_type::leave: return append_leave(bundle, from.id);
    case frame_type::pulse: return append_pulse(bundle, from.seats);
    case frame_type::credit: return append_credit(bundle, from.id, from.parts);
  }
}

bool same(const frame& a, const frame& b) {
  return a.type == b.type && a.id == b.id && a.name == b.name && a.payload == b.payload && a.headers == b.headers &&
         a.key == b.key && a.manifest == b.manifest && a.budget_ms == b.budget_ms && a.parts == b.parts && a.status == b.status && a.seats == b.seats;
}

void require_inside(std::string_view part, std::string_view whole) {
  const std::less_equal<> before;
  require(part.empty() || (before(whole.data(), part.data()) && before(part.data() + part.size(), whole.data() + whole.size())),
          "what a frame shows lies inside the bundle");
}

const std::vector<attachment>& beside() {
  static const std::vector<attachment> all{attachment{}, attachment{"the second"}};
  return all;
}

void require_sound(const frame& in, std::string_view bundle) {
  for (const auto part : {in.name, in.headers, in.manifest}) require_inside(part, bundle);
  require_inside(in.payload, in.attached == nullptr ? bundle : in.attached->bytes());
  require(in.attached == nullptr || in.attached == &beside()[0] || in.attached == &beside()[1], "an attachment is one of the message's");
  require_inside(in.key, in.headers);
  require(in.name.empty() || is_name(in.name), "a name is a name");
  require(in.payload.size() <= payload_bytes_max, "a payload is within its limit");
  require(in.headers.size() <= headers_bytes_max, "headers are within their limit");
  require(in.manifest.size() <= manifest_bytes_max, "a manifest is within its limit");
  require(in.budget_ms <= budget_ms_max, "a budget is a day at most");
  require(headers_from_msgpack(in.headers).size() <= headers_count_max, "there are no more headers than there may be");
}

std::vector<frame> frames_of(std::string_view bundle, bool must_be_whole) {
  std::vector<frame> out;
  bundle_reader reader{{bundle, beside()}};
  frame in;
  for (std::size_t before = 0;; before = reader.offset()) {
    const auto read = reader.next(in);
    require(reader.offset() <= bundle.size(), "nothing is read past the end");
    require(!must_be_whole || read == decoded::frame || read == decoded::end, "what was written is read");
    if (read == decoded::broken) require(reader.why() != nullptr, "what is broken has a reason");
    if (read == decoded::end || read == decoded::broken) return out;
    require(reader.offset() > before, "every frame takes bytes");
    if (read == decoded::frame) out.push_back(in);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bundle{reinterpret_cast<const char*>(data), size};
  const auto frames = frames_of(bundle, false);
  std::string written;
  for (const auto& each : frames) {
    require_sound(each, bundle);
    append(written, each);
  }
  const auto again = frames_of(written, true);
  require(again.size() == frames.size(), "as many frames are read as were written");
  std::string rewritten;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    require(same(frames[i], again[i]), "a frame is read as it was written");
    append(rewritten, again[i]);
  }
  require(rewritten == written, "writing again writes the same bytes");
  return 0;
}
