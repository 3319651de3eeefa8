// Events that a group could not handle.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "tools/waggle/events_view.hpp"
#include "tools/waggle/listing.hpp"
#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

/// What these commands of the broker take.
struct dead_wanted {
  std::optional<std::string> group;
  std::optional<std::uint64_t> id;
  std::optional<std::uint64_t> from;
  std::optional<std::uint64_t> limit;
};
WAGGLE_FIELDS(dead_wanted, group, id, from, limit)

struct retried_letters {
  std::uint64_t retried = 0;
};
WAGGLE_FIELDS(retried_letters, retried)

struct dropped_letters {
  std::uint64_t dropped = 0;
};
WAGGLE_FIELDS(dropped_letters, dropped)

struct dead_flags {
  std::string group;
  std::optional<std::uint64_t> id;
  std::optional<std::uint64_t> from;
  std::optional<std::uint64_t> limit;
};

dead_wanted wanted_by(const dead_flags& given) {
  dead_wanted out{{}, given.id, given.from, given.limit};
  if (!given.group.empty()) out.group = given.group;
  return out;
}

int list(const session& with, const dead_flags& given) {
  return show<dead_list>(with, "waggle.dead", wanted_by(given), [&](const dead_list& all) {
    if (all.dead.empty()) {
      with.note(given.from ? "no dead letter comes so late" : given.group.empty() ? "no event is dead" : "no event of the group \"" + given.group + "\" is dead");
    } else if (!given.from) {
      note_rest(with, all.dead.size(), all.total, "dead letter", "the oldest");
    }
    return dead_text(all, now_ms(), with.out());
  });
}

int show_one(const session& with, const dead_flags& given) {
  return show<dead_letter>(with, "waggle.dead_letter", wanted_by(given),
                           [&](const dead_letter& what) { return dead_letter_text(what, now_ms(), with.out()); });
}

/// So many at most the broker sends on their way, or drops, at once.
constexpr std::uint64_t letters_at_once = 1000;

int retry(const session& with, const dead_flags& given) {
  if (!given.id && given.group.empty()) return with.misuse("dead retry needs the ID of a dead letter, or --group for all of a group");
  return show<retried_letters>(with, "waggle.retry_dead", wanted_by(given), [&](const retried_letters& what) {
    if (what.retried == 0) return std::string{"nothing is dead there\n"};
    if (what.retried >= letters_at_once) with.note("these are as many as go at once; say it again when they are through");
    return counted(what.retried, "dead letter") + (what.retried == 1 ? " is" : " are") + " tried again\n";
  });
}

int drop(const session& with, const dead_flags& given) {
  if (!given.id && given.group.empty()) return with.misuse("dead drop needs the ID of a dead letter, or --group for all of a group");
  return show<dropped_letters>(with, "waggle.drop_dead", wanted_by(given), [&](const dropped_letters& what) {
    if (what.dropped == 0) return std::string{"nothing is dead there\n"};
    if (what.dropped >= letters_at_once) with.note("these are as many as go at once; say it again for the rest");
    return counted(what.dropped, "dead letter") + (what.dropped == 1 ? " is" : " are") + " forgotten\n";
  });
}

/// One dead letter, or all of a group.
void add_choice(CLI::App& flags, dead_flags& given) {
  auto* id = flags.add_option("ID", given.id, "The dead letter's number, as `waggle dead ls` shows it")->type_name("");
  flags.add_option("--group", given.group, "All dead letters of this group")->type_name("GROUP")->excludes(id);
}

}  // namespace

command make_dead(CLI::App& app, session& with) {
  const auto given = std::make_shared<dead_flags>();
  auto* flags = app.add_subcommand("dead", "List, show, retry and drop events that could not be handled");
  flags->require_subcommand(1);
  flags->footer(
      "An event whose handler has failed as often as its group allows is set aside, with its\n"
      "payload and its last error, while others go on. Durable commands that failed are\n"
      "in the group waggle.later.\n\n"
      "Examples:\n"
      "  waggle dead ls mailer\n"
      "  waggle dead show 17\n"
      "  waggle dead retry 17\n"
      "  waggle dead drop --group mailer");

  auto* listing = flags->add_subcommand("ls", "List dead letters, the oldest first");
  listing->add_option("GROUP", given->group, "Only those of this group")->type_name("");
  listing->add_option("--from", given->from, "Only those with this number or a higher one")->type_name("ID");
  listing->add_option("--limit", given->limit, "Show at most so many")->type_name("N")->check(CLI::Range(1, 1'000'000).description(""));
  listing->footer("Examples:\n  waggle dead ls\n  waggle dead ls mailer --limit 20\n  waggle dead ls --json | jq -r '.dead[].error.message'");

  auto* shown = flags->add_subcommand("show", "Show a dead letter: payload, headers, last error");
  shown->add_option("ID", given->id, "The dead letter's number, as `waggle dead ls` shows it")->type_name("")->required();
  shown->footer("Examples:\n  waggle dead show 17\n  waggle dead show 17 --json | jq .payload");

  auto* retried = flags->add_subcommand("retry", "Give dead letters to their group again");
  add_choice(*retried, *given);
  retried->footer(
      "They stay dead letters until a handler has succeeded. What fails again is dead\n"
      "again.\n\n"
      "Examples:\n  waggle dead retry 17\n  waggle dead retry --group mailer");

  auto* dropped = flags->add_subcommand("drop", "Forget dead letters for good");
  add_choice(*dropped, *given);
  dropped->footer("Examples:\n  waggle dead drop 17\n  waggle dead drop --group mailer");

  return {flags, [=, &with] {
            if (listing->parsed()) return list(with, *given);
            if (shown->parsed()) return show_one(with, *given);
            return retried->parsed() ? retry(with, *given) : drop(with, *given);
          }};
}

}  // namespace waggle::cli
