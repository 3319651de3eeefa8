#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/client.hpp>
#include <waggle/wire/error.hpp>

#include "tools/waggle/exit_codes.hpp"
#include "tools/waggle/network.hpp"
#include "tools/waggle/payload.hpp"
#include "tools/waggle/text.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace waggle::cli {

enum class form { automatic, json, table, msgpack };

/// What the flags that all commands share say, and the ways out: results go to standard output, all else to standard
/// error.
class session {
 public:
  session();

  std::string broker = environment("WAGGLE_BROKER", default_broker);
  key_options keys;
  std::string budget_text = "5s";
  form output = form::automatic;
  encoding input = encoding::json;

  /// Defines the flags that every command takes.
  void add_flags(CLI::App& app);
  /// Defines the flags of commands that send a payload, and its argument.
  void add_payload_flags(CLI::App& command);

  [[nodiscard]] milliseconds budget() const;
  [[nodiscard]] client_options caller() const;
  /// Key and headers. INVALID_ARGUMENT for a header that is not `name=value`.
  [[nodiscard]] result<call_options> options() const;
  /// The payload that the argument stands for, as msgpack.
  [[nodiscard]] result<std::string> payload() const;
  /// What the broker says of the network.
  [[nodiscard]] result<cli::network> network() const;

  /// What one of the broker's own commands answers. An error of a broker that cannot do this says what would help.
  [[nodiscard]] result<std::string> ask(std::string_view command, std::string payload, milliseconds budget, bool may_repeat = false) const;
  /// The same as a type; INTERNAL for another.
  template <payload_type Answer>
  [[nodiscard]] result<Answer> understood(std::string_view bytes) const {
    auto out = read_payload<Answer>(bytes);
    if (!out) return failure(status::internal, "the broker's answer is not understood: " + out.error().message);
    return out;
  }

  [[nodiscard]] form output_or(form otherwise) const { return output == form::automatic ? otherwise : output; }
  [[nodiscard]] const screen& out() const { return out_; }
  [[nodiscard]] const screen& err() const { return err_; }

  /// Writes and flushes; ends the process if nobody reads any more.
  void print(std::string_view text) const;
  /// Prints one msgpack value in the form asked for. JSON that would be longer than a line of the terminal is spread
  /// over several, unless it `is_line` of several values.
  void print_value(std::string_view msgpack, form otherwise, bool is_line = false) const;
  /// Tells why, and returns the exit code for it.
  int fail(const error& why, bool has_call = false) const;
  /// The same for what is wrong with the command line itself.
  int misuse(std::string_view why) const;
  /// A remark, to standard error.
  void note(std::string_view text) const;

 private:
  std::string key_;
  std::vector<std::string> headers_;
  std::string argument_;
  screen out_;
  screen err_;
  std::vector<CLI::Option*> arguments_;  ///< of the commands that take a payload
};

/// A subcommand, and what it does when it was chosen: returns the exit code.
struct command {
  CLI::App* flags;
  std::function<int()> run;
};

command make_call(CLI::App& app, session& with);
command make_emit(CLI::App& app, session& with);
command make_sub(CLI::App& app, session& with);
command make_ls(CLI::App& app, session& with);
command make_describe(CLI::App& app, session& with);
/// Hidden: the names of all commands, for completion scripts. Never complains.
command make_command_names(CLI::App& app, session& with);
/// What HTTP requests come to: routes check, ls, explain, schema.
command make_routes(CLI::App& app, session& with);
/// API keys of the gateway: keys new, ls, revoke.
command make_keys(CLI::App& app, session& with);
command make_ping(CLI::App& app, session& with);
/// Puts a load on the network and measures it: bench calls, events, serve.
command make_bench(CLI::App& app, session& with);
command make_raw(CLI::App& app, session& with);
/// A key pair, for networks whose broker wants keys.
command make_keygen(CLI::App& app, session& with);
command make_streams(CLI::App& app, session& with);
/// Consumer groups: list and forget.
command make_groups(CLI::App& app, session& with);
/// Dead letters: ls, show, retry, drop.
command make_dead(CLI::App& app, session& with);
/// Durable commands, and what has become of them.
command make_later(CLI::App& app, session& with);
command make_outcome(CLI::App& app, session& with);
/// Hidden, for completion scripts: `__groups`, `__dead`.
std::vector<command> make_event_names(CLI::App& app, session& with);
/// What looks into the broker and steers it: workers, queues, calls, stats, drain, pause, resume, and a hidden `__workers` for
/// completion scripts.
std::vector<command> make_operations(CLI::App& app, session& with);

}  // namespace waggle::cli
