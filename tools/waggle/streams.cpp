// Streams, and the groups that read them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/waggle/events_view.hpp"
#include "tools/waggle/listing.hpp"
#include "tools/waggle/network.hpp"
#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

struct streams_wanted {
  std::optional<std::vector<std::string>> prefixes;
};
WAGGLE_FIELDS(streams_wanted, prefixes)

struct groups_wanted {
  std::optional<std::string> prefix;
};
WAGGLE_FIELDS(groups_wanted, prefix)

struct group_named {
  std::string group;
};
WAGGLE_FIELDS(group_named, group)

struct forgotten_group {
  std::uint64_t forgotten = 0;
};
WAGGLE_FIELDS(forgotten_group, forgotten)

int list_streams(const session& with, const std::vector<std::string>& prefixes) {
  streams_wanted wanted;
  if (!prefixes.empty()) wanted.prefixes = prefixes;
  return show<stream_list>(with, "waggle.streams", wanted, [&](const stream_list& all) {
    if (!all.durable) with.note("this broker keeps events in memory only: they end with it");
    if (all.streams.empty() && all.ephemeral.empty()) with.note("there are no streams that hold such topics");
    return streams_text(all, with.out());
  });
}

int list_groups(const session& with, const std::string& prefix) {
  groups_wanted wanted;
  if (!prefix.empty()) wanted.prefix = prefix;
  return show<group_list>(with, "waggle.groups", wanted, [&](const group_list& all) {
    if (all.groups.empty()) {
      with.note(prefix.empty() ? "no service handles events, and none has" : "no group's name begins with \"" + prefix + "\"");
    }
    return groups_text(all, with.out());
  });
}

/// The names of groups, sorted, each with its streams.
std::vector<std::pair<std::string, std::string>> group_names(const session& with) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto all = asked<group_list>(with, "waggle.groups", groups_wanted{});
  if (!all) return out;
  for (const auto& each : all->groups) out.emplace_back(each.group, "reads " + printable(each.stream) + ", lag " + std::to_string(each.lag));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first == b.first; }), out.end());
  return out;
}

int forget_group(const session& with, const std::string& group) {
  std::string payload;
  append_payload(payload, group_named{group});
  auto bytes = with.ask("waggle.forget_group", std::move(payload), with.budget());
  if (!bytes && bytes.error().code == status::not_found) {
    const auto other = closest(group, group_names(with));
    if (!other.empty()) bytes.error().message = "there is no group \"" + group + "\"; did you mean " + other + "?";
  }
  if (!bytes) return with.fail(bytes.error());
  const auto what = with.understood<forgotten_group>(*bytes);
  if (!what) return with.fail(what.error());
  if (with.output_or(form::table) != form::table) return with.print_value(*bytes, form::json), 0;
  with.print(printable(group) + " is forgotten, with its place in the streams and its dead letters\n");
  return 0;
}

}  // namespace

command make_streams(CLI::App& app, session& with) {
  const auto prefixes = std::make_shared<std::vector<std::string>>();
  auto* flags = app.add_subcommand("streams", "List the streams in which events are kept");
  flags->add_option("PREFIX", *prefixes, "Only streams that may hold topics which begin so")->type_name("");
  flags->footer(
      "HEAD is the number of the newest event, FIRST that of the oldest which is kept, and\n"
      "OLDEST its age. Topics of no stream are only passed on to who listens.\n\n"
      "Examples:\n"
      "  waggle streams\n"
      "  waggle streams order.\n"
      "  waggle streams --json | jq '.streams[] | {stream, head}'");
  return {flags, [&with, prefixes] { return list_streams(with, *prefixes); }};
}

command make_groups(CLI::App& app, session& with) {
  const auto name = std::make_shared<std::string>();
  const auto prefix = std::make_shared<std::string>();
  auto* flags = app.add_subcommand("groups", "List consumer groups: how far they are, what is late or dead");
  flags->add_option("PREFIX", *prefix, "Only groups whose names begin so")->type_name("");
  flags->footer(
      "LAG counts the events of the stream that the group has not done with, and OLDEST is\n"
      "how long ago the first of them was emitted. RETRYING are those that have failed and\n"
      "wait to be tried again, SLOTS what the group's members can have at hand.\n\n"
      "Examples:\n"
      "  waggle groups\n"
      "  waggle groups --json | jq '.groups[] | select(.lag > 1000).group'\n"
      "  waggle groups forget mailer");
  auto* forget = flags->add_subcommand("forget", "Forget a group that has no members");
  forget->add_option("GROUP", *name, "The group's name")->type_name("")->required();
  forget->footer(
      "Its place in the streams and its dead letters are lost, and events that were kept for\n"
      "it alone can go. A group that comes again under the name is a new one.\n\n"
      "Example:\n"
      "  waggle groups forget mailer");
  return {flags, [=, &with] { return forget->parsed() ? forget_group(with, *name) : list_groups(with, *prefix); }};
}

std::vector<command> make_event_names(CLI::App& app, session& with) {
  auto* groups = app.add_subcommand("__groups", "")->group("");
  auto* dead = app.add_subcommand("__dead", "")->group("");
  return {{groups,
           [&with] {
             with.budget_text = "1s";
             for (const auto& [name, about] : group_names(with)) with.print(printable(name) + "\t" + about + "\n");
             return 0;
           }},
          {dead, [&with] {
             with.budget_text = "1s";
             const auto all = asked<dead_list>(with, "waggle.dead", nothing{});
             if (!all) return 0;
             for (const auto& each : all->dead) {
               with.print(std::to_string(each.id) + "\t" + printable(each.group) + " " + printable(each.topic) + "\n");
             }
             return 0;
           }}};
}

}  // namespace waggle::cli
