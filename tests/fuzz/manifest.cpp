// Any bytes as a manifest: one that is accepted is within the limits and reads back equal from what it is written as; one that is
// refused says why, in an error that can be sent.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <waggle/wire/error.hpp>
#include <waggle/wire/manifest.hpp>

#include "tests/fuzz/require.hpp"

using namespace waggle;
using namespace waggle::wire;
using waggle::fuzz::require;

namespace {

void require_sound(const command_manifest& of) {
  require(of.doc.size() <= 4096 && is_utf8(of.doc), "a command's text is a short text");
  require(of.http.size() <= manifest_routes_max, "a command has no more routes than it may");
  for (const auto& each : of.http) require(each.size() <= 1024 && is_utf8(each), "a route is a short text");
  for (const auto* schema : {&of.request, &of.reply}) {
    reader in{*schema};
    require(schema->empty() || (in.peek() == kind::map && in.skip() && in.at_end()), "a schema is one map");
  }
}

void require_sound(const manifest& of) {
  require(is_name(of.service), "a service has a name");
  require(of.version.size() <= name_bytes_max && is_utf8(of.version), "a version is a short text");
  require(of.instance.empty() || is_name(of.instance), "an instance that is named has a name");
  require(of.slots >= 1 && of.slots <= slots_max && of.quick_slots <= slots_max, "slots are within their limit");
  require(of.bundle >= 1 && of.bundle <= bundle_frames_max, "a bundle is within its limit");
  require(!of.commands.empty() || !of.events.empty(), "there are commands, or events");
  require(of.commands.size() <= manifest_commands_max && of.events.size() <= manifest_events_max, "there are not too many of them");
  for (const auto& each : of.events) {
    require(is_topic_pattern(each.topic) && (each.group.empty() || is_name(each.group)), "an event has a pattern, and its group a name");
    require(each.attempts >= 1 && each.attempts <= event_attempts_max && each.budget_ms >= 1 && each.budget_ms <= budget_ms_max,
            "an event is tried, and not for ever");
  }
  for (const auto& each : of.commands) {
    require(each.group.empty() || is_name(each.group), "a group that is named has a name");
    require(is_name(each.name) && !each.name.starts_with("waggle."), "a command has a name of its own");
    require_sound(each);
  }
}

std::string written(const manifest& from) {
  std::string out;
  append_manifest(out, from);
  return out;
}

void require_sound(const error& why) {
  require(why.code == status::invalid_argument && !why.may_have_run, "a refusal is INVALID_ARGUMENT");
  require(!why.message.empty() && is_utf8(why.message), "a refusal says why");
  require(why.problems.size() == 1 && is_utf8(why.problems[0].path) && is_utf8(why.problems[0].message), "a refusal says where");
  std::string payload;
  append_error(payload, why);
  const auto read = read_error(why.code, payload);
  require(read.message == why.message && read.may_have_run == why.may_have_run && read.problems.size() == 1 &&
              read.problems[0].path == why.problems[0].path && read.problems[0].message == why.problems[0].message,
          "a refusal arrives as it was sent");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  if (const auto read = read_manifest(bytes)) {
    require_sound(*read);
    const auto once = written(*read);
    const auto again = read_manifest(once);
    require(again.has_value(), "a manifest that was written is accepted");
    // Equal manifests are written equally, and unequal ones are not: there is an entry for each member.
    require(written(*again) == once, "a manifest reads back as it was written");
    require(again->commands.size() == read->commands.size() && again->service == read->service, "a manifest reads back equal");
  } else {
    require_sound(read.error());
  }
  if (const auto read = read_commands(bytes)) {
    for (const auto& each : *read) require_sound(each);
  } else {
    require_sound(read.error());
  }
  return 0;
}
