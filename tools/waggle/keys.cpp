// API keys of the gateway: a file of their hashes, which the gateway reads again when it changes. No network is asked.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <waggle/detail/text.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/json_string.hpp>

#include "gateway/identity/key_file.hpp"
#include "tools/waggle/session.hpp"
#include "tools/waggle/table.hpp"

namespace waggle::cli {
namespace {

using std::chrono::sys_seconds;

constexpr std::int64_t expires_days_max = 3650;

struct keys_flags {
  std::string file, name, expires, claims, id;
  std::vector<std::string> scopes;
};

sys_seconds now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }
std::string shown(sys_seconds at) { return waggle::detail::rfc3339(at.time_since_epoch().count(), 0); }

/// "90d" or "12h".
std::optional<std::chrono::hours> time_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (failed != std::errc{} || (unit != "d" && unit != "h")) return std::nullopt;
  const std::int64_t factor = unit == "d" ? 24 : 1;
  if (number < 1 || number > expires_days_max * 24 / factor) return std::nullopt;
  return std::chrono::hours{number * factor};
}

/// What cannot be read or written ends with 1, as what is wrong with a file does.
int fail_file(const session& with, const gateway::key_file_error& why) {
  fmt::print(stderr, "waggle: {}\n", printable(why.why));
  if (why.faulty) with.note("mend the file, or have `waggle keys` make a new one");
  return 1;
}

std::string state_of(const gateway::api_key& key, sys_seconds at) {
  return key.revoked ? "revoked" : key.expires && at >= *key.expires ? "expired" : "valid";
}

/// One key as JSON; with its text only when it is new.
std::string json_of(const gateway::api_key& key, const std::string& text = {}) {
  auto out = gateway::written(key);
  const auto hash = out.find(",\"hash\":\"");
  out.erase(hash, out.find('"', hash + 9) + 1 - hash);
  out.pop_back();
  out += ",\"state\":\"" + state_of(key, now()) + '"';
  if (!text.empty()) out += ",\"key\":\"" + text + '"';
  return out + '}';
}

void print_json(const session& with, const std::string& json) { with.print_value(wire::json_to_msgpack(json).value(), form::json); }

int make(const session& with, const keys_flags& given) {
  gateway::api_key key;
  key.name = given.name;
  key.scopes = given.scopes;
  key.created = now();
  for (const auto& each : given.scopes) {
    if (!gateway::is_scope(each)) return with.misuse("\"" + each + "\" is no scope; write up to 128 visible characters without \" and \\, as in orders:read");
  }
  if (given.scopes.size() > gateway::api_key_scopes_max) return with.misuse("a key has at most 64 scopes");
  if (!given.expires.empty()) {
    const auto time = time_of(given.expires);
    if (!time) return with.misuse("\"" + given.expires + "\" is no time to expire in; write hours or days up to ten years, as in 12h or 90d");
    key.expires = key.created + *time;
  }
  if (!given.claims.empty()) {
    auto bytes = wire::json_to_msgpack(given.claims);
    if (!bytes || !given.claims.starts_with('{')) return with.misuse("--claims takes a JSON object, as in {\"tenant\":\"acme\"}");
    key.claims = std::move(*bytes);
  }
  const auto texts = gateway::make_api_key(gateway::random_for_api_key());
  key.id = texts.id;
  key.hash = gateway::sha256(texts.secret);
  if (auto again = gateway::read_api_keys(gateway::written(key)); !again) return with.misuse(std::string_view{again.error().front()}.substr(3));
  const auto changed = gateway::change_key_file(given.file, [&](std::vector<gateway::api_key>& keys) { return keys.push_back(key), std::string{}; });
  if (!changed) return fail_file(with, changed.error());
  if (with.output_or(form::table) != form::table) {
    print_json(with, json_of(key, texts.whole()));
  } else {
    with.print(texts.whole() + '\n');
    with.note("this is the only time the key is shown; its id is " + key.id);
  }
  return 0;
}

int list(const session& with, const keys_flags& given) {
  const auto keys = gateway::read_key_file(given.file);
  if (!keys) return fail_file(with, keys.error());
  if (with.output_or(form::table) != form::table) {
    std::string json = "{\"keys\":[";
    for (const auto& each : *keys) json += (json.back() == '[' ? "" : ",") + json_of(each);
    print_json(with, json + "]}");
    return 0;
  }
  if (keys->empty()) return with.note("there are no keys"), 0;
  table rows{{"ID", "NAME", "STATE", "CREATED", "EXPIRES", "SCOPES"}};
  for (const auto& each : *keys) {
    std::string scopes;
    for (const auto& scope : each.scopes) scopes += (scopes.empty() ? "" : " ") + scope;
    rows.row({each.id, printable(each.name), state_of(each, now()), shown(each.created), each.expires ? shown(*each.expires) : "", scopes});
  }
  with.print(rows.lines(with.out()));
  return 0;
}

int revoke(const session& with, const keys_flags& given) {
  std::optional<gateway::api_key> revoked;
  const auto changed = gateway::change_key_file(given.file, [&](std::vector<gateway::api_key>& keys) {
    const auto found = std::find_if(keys.begin(), keys.end(), [&](const auto& each) { return each.id == given.id; });
    if (found == keys.end()) return "no key has the id \"" + printable(given.id) + "\"; waggle keys ls shows them";
    if (!found->revoked) found->revoked = now();
    revoked = *found;
    return std::string{};
  });
  if (!changed && !revoked && !changed.error().faulty && changed.error().why.starts_with("no key"))
    return with.fail({status::not_found, changed.error().why});
  if (!changed) return fail_file(with, changed.error());
  if (with.output_or(form::table) != form::table) {
    print_json(with, json_of(*revoked));
  } else {
    with.print("the key " + revoked->id + " of " + printable(revoked->name) + " is revoked\n");
  }
  return 0;
}

void add_file(CLI::App& flags, keys_flags& given) {
  flags.add_option("--file", given.file, "The file of keys, as the gateway's api_keys names it")->envname("WAGGLE_API_KEYS")->type_name("FILE")->required();
}

}  // namespace

command make_keys(CLI::App& app, session& with) {
  const auto given = std::make_shared<keys_flags>();
  auto* flags = app.add_subcommand("keys", "Make, list and revoke the gateway's API keys");
  flags->require_subcommand(1);
  flags->footer(
      "The file holds hashes, never keys. The gateway reads it again when it changes, and\n"
      "refuses a key that is revoked from then on.\n\n"
      "Examples:\n"
      "  waggle keys new 'shop frontend' --scope orders:read --expires 90d --file api-keys.jsonl\n"
      "  waggle keys ls --file api-keys.jsonl\n"
      "  waggle keys revoke k3vq7x2m --file api-keys.jsonl");

  auto* made = flags->add_subcommand("new", "Make a key, and print it this once");
  made->add_option("NAME", given->name, "Whose key it is")->type_name("")->required();
  made->add_option("--scope", given->scopes, "What it may be used for; may be given several times")
      ->type_name("SCOPE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  made->add_option("--expires", given->expires, "Until when, from now: 12h, 90d; never, if not given")->type_name("TIME");
  made->add_option("--claims", given->claims, "What services are told besides sub, name and scope")->type_name("JSON");
  add_file(*made, *given);
  made->footer(
      "Standard output is the key and nothing else.\n\n"
      "Examples:\n"
      "  waggle keys new shop --scope orders:read --scope orders:write --file api-keys.jsonl\n"
      "  waggle keys new acme --claims '{\"tenant\":\"acme\"}' --file api-keys.jsonl --json | jq -r .key");

  auto* listing = flags->add_subcommand("ls", "List the keys, without their secrets");
  add_file(*listing, *given);
  listing->footer("Examples:\n  waggle keys ls --file api-keys.jsonl\n  waggle keys ls --file api-keys.jsonl --json | jq -r '.keys[] | select(.state == \"valid\").name'");

  auto* revoked = flags->add_subcommand("revoke", "Have a key refused from now on");
  revoked->add_option("ID", given->id, "The key's id: what stands between the two _ of it, and what waggle keys ls shows")->type_name("")->required();
  add_file(*revoked, *given);
  revoked->footer("Example:\n  waggle keys revoke k3vq7x2m --file api-keys.jsonl");

  return {flags, [=, &with] {
            if (made->parsed()) return make(with, *given);
            return listing->parsed() ? list(with, *given) : revoke(with, *given);
          }};
}

}  // namespace waggle::cli
