#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "gateway/routes/config.hpp"

namespace waggle::gateway {

[[nodiscard]] inline std::string in_quotes(std::string_view text) { return '"' + std::string{text} + '"'; }

/// "a, b and c".
[[nodiscard]] std::string listed(std::span<const std::string_view> names, std::string_view last = " and ");

/// "16KiB", "1MiB", "100": a number of bytes; and the other way round.
[[nodiscard]] std::optional<std::uint64_t> size_of(std::string_view text);
[[nodiscard]] std::string shown_size(std::uint64_t bytes);

/// The name that is most like a mistyped one; empty if none is like it.
[[nodiscard]] std::string_view closest(std::string_view mistyped, std::span<const std::string_view> names);

/// The text of a file, of which one byte more than is allowed is enough to know that it is too large; nothing if it cannot be read.
[[nodiscard]] std::optional<std::string> file_text(const std::string& path, std::size_t bytes_max);

/// Reads files one after the other into one configuration and goes on after each fault. Its parts: documents and routes
/// (config_reader.cpp), steps and what they call (config_steps.cpp), values (config_values.cpp), limits and events (config_settings.cpp), credentials and access
/// (config_access.cpp), rates, proxies and the like (config_traffic.cpp), what is said of replies (config_replies.cpp), and what is to be checked once a route
/// or everything is known (config_checks.cpp).
class config_reader {
 public:
  explicit config_reader(const environment_lookup& environment) : environment_{environment} {}

  void read(const config_file& file);
  [[nodiscard]] tl::expected<config, std::vector<std::string>> take();

 private:
  struct entry {
    const YAML::Node value;  ///< const: to assign one node to another changes the document
    int line = 0;      ///< of the value; of its key where there is none
    int key_line = 0;
  };
  using entry_map = std::map<std::string, entry, std::less<>>;
  using entry_list = std::vector<std::pair<std::string, entry>>;

  /// Who uses a source: what may be known to him depends on it.
  struct user {
    enum class kind : std::uint8_t { request, step, undo, reply, header, then };
    kind is = kind::request;
    std::size_t index = 0;  ///< of the step
  };
  struct reference {
    source to;  ///< a step, or its error
    user by;
    int line;
    bool guessed;  ///< found in a jq program's text
  };
  /// The route that is being read.
  struct open_route {
    route_config out;
    bool path_known = false;
    std::vector<std::string> names, then_names;  ///< of all its steps, also of those with faults
    std::vector<reference> references;
    std::size_t fields = 0;  ///< of the payload or reply that is being read
    int line = 0;
    std::size_t errors_before = 0;
  };

  void wrong(int line, const std::string& message) {
    errors_.push_back(name_ + ':' + std::to_string(line) + ": " + message);
  }
  void wrong(const YAML::Node& at, const std::string& message) { wrong(at.Mark().line + 1, message); }

  // Maps and scalars.
  [[nodiscard]] bool is_bounded(const YAML::Node& document, std::size_t bytes);
  entry_list entries(const YAML::Node& node, const std::string& what);
  entry_map entries(const YAML::Node& node, const std::string& what, std::span<const std::string_view> known);
  const std::string* text(const entry_map& in, std::string_view key, std::string_view example);
  std::optional<std::uint64_t> number(const entry& at, const std::string& what, std::uint64_t least, std::uint64_t most);
  std::optional<std::chrono::milliseconds> budget(const entry_map& in);

  // Documents and routes.
  bool is_first(const entry& at, const std::string& setting);
  void read_document(const YAML::Node& document);
  void read_route(const YAML::Node& node);
  void read_path(const entry_map& known);
  void read_conditions(const entry& at);
  void read_condition(const std::string& of, const entry& at);
  void read_headers(const entry& at);
  void read_reply(const entry_map& known);
  void read_mirror(const entry& at);
  void read_later(const entry_map& known);
  void read_dates(const entry_map& known);
  std::optional<std::chrono::sys_days> date(const entry_map& in, std::string_view key);

  // Steps.
  void read_simple(const entry_map& known);
  entry_list read_names(const entry_map& in, std::string_view key);
  void read_steps(const entry_list& all, bool then);
  void read_step(step_config& out, const YAML::Node& node, user by);
  void read_undo(step_config& out, const entry& at, std::size_t index);
  void read_after(step_config& out, const entry& at, bool then);
  std::optional<target_config> read_target(const entry& at);
  std::optional<target_config> read_versions(const entry_map& known, const entry& at);
  std::optional<target_config> read_split(const entry_map& known, const entry& at);
  bool is_command(const std::string& text, int line, const char* what = "command");

  // Values.
  payload_config read_payload(const entry_map& in, user by);
  std::optional<value_config> read_whole(const entry& at, user by, const char* key, const char* example);
  std::optional<value_config> read_object(const YAML::Node& node, user by, unsigned depth);
  std::optional<value_config> read_value(const entry& at, user by, unsigned depth);
  std::optional<value_config> read_taken(const entry_map& known, user by);
  value_config read_program(const std::string& jq, int line, user by);
  std::optional<source> read_source(std::string_view text, int line, user by, bool has_default = false);
  std::optional<source> read_source(const entry_map& in, std::string_view key, user by);
  std::optional<text_template> read_template(const std::string& text, int line, user by);
  std::optional<std::string> constant(const entry& at);

  // Settings.
  void read_limits(const entry& at);
  void read_tls(const entry& at);
  void read_certificates(const entry& at, tls_config& out, std::size_t errors_before);
  [[nodiscard]] std::string path_beside(const std::string& path) const;
  void read_events(const entry& at);
  void read_access_log(const entry& at);
  std::optional<unsigned> percent(const entry& at, const std::string& what, unsigned least, unsigned most);

  // Whose credentials count, and whom what is for.
  void read_tokens(const entry& at);
  std::optional<token_issuer> read_issuer(const YAML::Node& node, int line);
  std::shared_ptr<const key_set> read_key(const std::string& from, jws_algorithm algorithm, int line);
  std::shared_ptr<const key_set> read_keys(const std::string& from, int line);
  std::optional<std::string> read_secret(const std::string& text, int line);
  void read_api_keys(const entry& at);
  void read_access(const entry& at);
  std::optional<access_rule> read_rule(const entry& at, const char* what);
  void check_access();

  // Replies: of a route, then of all (config_replies.cpp).
  void read_replies(const entry_map& known);
  void read_cache_control(const entry_map& known);
  void read_route_cache(const entry_map& known);
  void read_cached_by(const entry& at, cache_config& out);
  void read_key_use(const entry_map& known);
  void read_reply_settings(const entry_map& known);
  std::optional<bool> yes_or_no(const entry_map& in, std::string_view key);
  std::optional<std::uint64_t> bytes_within(const entry_map& in, std::string_view key, std::uint64_t least, std::uint64_t most);

  // Who may ask how much (config_traffic.cpp).
  void read_proxies(const entry& at);
  void read_cors(const entry& at);
  std::vector<rate_config> read_rates(const entry& at, const std::string& what, const std::string& prefix);
  std::optional<rate_config> read_rate(const YAML::Node& node, const std::string& prefix);
  std::vector<rate_by> read_rate_by(const entry& at);
  void read_breaker(const entry& at);
  void read_retries(const entry& at);
  void read_route_traffic(const entry_map& known);
  std::optional<std::chrono::milliseconds> time(const entry_map& in, std::string_view key, std::chrono::milliseconds least, std::chrono::milliseconds most,
                                                std::string_view example);
  std::vector<std::string> header_names(const entry_map& in, std::string_view key);

  // Checks.
  void check_route();
  void check_reference(const reference& each);
  void check_undo_references(const std::vector<std::set<std::size_t>>& before);
  void check_incomplete();
  void check_budgets();
  [[nodiscard]] std::vector<std::set<std::size_t>> dependencies(bool then) const;
  void check_cycles(const std::vector<std::set<std::size_t>>& edges, bool then);
  void check_reachable(int line);
  [[nodiscard]] std::string other_step(std::string_view mistyped, bool then) const;
  [[nodiscard]] step_config* step_named(const std::string& name);

  struct asked_before {
    std::vector<condition> when;
    std::string place;
  };

  const environment_lookup& environment_;
  std::string name_;
  config out_;
  open_route route_;
  std::vector<std::string> errors_;
  std::map<std::string, std::vector<asked_before>> places_;  ///< of the routes, by method and shape
  std::vector<std::string> restricted_;  ///< places of what is not for anyone
  std::map<std::string, std::string> setting_places_;  ///< where each setting stands that may stand once in all files
  std::size_t rates_ = 0;                              ///< in all files
  std::vector<std::pair<std::string, std::string>> claims_;  ///< place and source of each claim
};

}  // namespace waggle::gateway
