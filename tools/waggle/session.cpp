#include "tools/waggle/session.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include <waggle/detail/duration.hpp>
#include <waggle/wire/json.hpp>

#include "tools/waggle/view.hpp"

namespace waggle::cli {
namespace {

screen screen_of(int descriptor) {
  screen out;
  if (::isatty(descriptor) == 0) return out;
  winsize size{};
  out.width = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : 80;
  out.colour = environment("NO_COLOR", "").empty() && environment("TERM", "") != "dumb";
  return out;
}

}  // namespace

session::session() : out_{screen_of(STDOUT_FILENO)}, err_{screen_of(STDERR_FILENO)} {}

void session::add_flags(CLI::App& app) {
  app.add_option("--broker", broker, "Where the broker takes commands")
      ->envname("WAGGLE_BROKER")
      ->capture_default_str()
      ->type_name("EP");
  app.add_option("--key-file", keys.key, "Our key pair, for a broker that wants keys")->envname("WAGGLE_KEY")->type_name("FILE");
  app.add_option("--broker-key", keys.broker_key, "That broker's public key, or its .pub file")->envname("WAGGLE_BROKER_KEY")->type_name("KEY");
  app.add_option("--budget", budget_text, "How long all may take, as in 250ms or 2s")
      ->envname("WAGGLE_BUDGET")
      ->capture_default_str()
      ->type_name("TIME")
      ->check(detail::duration_problem);
  const auto set_output = [this](const std::string& text) {
    output = text == "json" ? form::json : text == "table" ? form::table : form::msgpack;
  };
  app.add_option_function<std::string>("-o,--output", set_output, "json, table or msgpack; else what suits the command")
      ->type_name("FORM")
      ->check(CLI::IsMember({"json", "table", "msgpack"}).description(""));
  app.add_flag_callback(
      "--json", [this] { output = form::json; }, "The same as -o json");
}

void session::add_payload_flags(CLI::App& command) {
  arguments_.push_back(
      command.add_option("PAYLOAD", argument_, "JSON, @FILE, or - (without it, what is piped in)")->type_name(""));
  command.add_option("--key", key_, "What it is about: what has the same key is handled one at a time, in order");
  command.add_option("--header", headers_, "A header to send; may be given several times")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  const auto set_input = [this](const std::string& text) {
    input = text == "json" ? encoding::json : encoding::msgpack;
  };
  command.add_option_function<std::string>("-i,--input", set_input, "What the payload is written in: json or msgpack")
      ->type_name("FORM")
      ->check(CLI::IsMember({"json", "msgpack"}).description(""));
}

milliseconds session::budget() const { return *detail::parse_duration(budget_text); }

client_options session::caller() const {
  client_options out;
  out.broker = broker;
  out.name = "waggle-cli";
  out.keys = keys;
  return out;
}

result<call_options> session::options() const {
  call_options out;
  out.key = key_;
  for (const auto& each : headers_) {
    const auto equals = each.find('=');
    if (equals == each.npos || equals == 0) {
      return failure(status::invalid_argument, "--header takes name=value, not \"" + each + "\"");
    }
    out.headers.insert_or_assign(each.substr(0, equals), each.substr(equals + 1));
  }
  return out;
}

result<std::string> session::payload() const {
  bool is_given = false;
  for (const auto* each : arguments_) is_given = is_given || each->count() != 0;
  const auto bytes = read_argument(argument_, is_given, budget());
  return bytes ? payload_from(*bytes, input) : bytes;
}

result<network> session::network() const {
  return client{caller()}.call<cli::network>("waggle.services", nothing{}, budget());
}

result<std::string> session::ask(std::string_view command, std::string payload, milliseconds budget, bool may_repeat) const {
  call_options options;
  options.idempotent = may_repeat;
  auto out = client{caller()}.call_bytes(command, std::move(payload), budget, options);
  if (!out) out.error() = with_remedy(std::move(out.error()), command, broker);
  return out;
}

void session::print(std::string_view text) const {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return;
  note("cannot write to standard output");
  std::_Exit(1);
}

void session::print_value(std::string_view msgpack, form otherwise, bool is_line) const {
  if (msgpack.empty()) msgpack = {"\xc0", 1};
  const auto as = output_or(otherwise);
  if (as == form::msgpack) return print(msgpack);
  if (as == form::table && !is_line) return print(value_text(msgpack, out_));
  auto text = wire::msgpack_to_json(msgpack);
  const auto width = out_.width;
  if (!is_line && width != 0 && columns(text) > width) text = wire::msgpack_to_json(msgpack, 2);
  print(text + "\n");
}

int session::fail(const error& why, bool has_call) const {
  if (output == form::json) {
    std::string bytes;
    wire::append_error(bytes, why);
    std::fputs((wire::msgpack_to_json(bytes) + "\n").c_str(), stderr);
  } else {
    std::fputs(error_text(why, has_call, err_).c_str(), stderr);
  }
  return info(why.code).exit_code;
}

int session::misuse(std::string_view why) const {
  if (output == form::json) {
    fail({status::invalid_argument, std::string{why}});
  } else {
    note(why);
  }
  return exit_misuse;
}

void session::note(std::string_view text) const { std::fputs(("waggle: " + printable(text) + "\n").c_str(), stderr); }

}  // namespace waggle::cli
