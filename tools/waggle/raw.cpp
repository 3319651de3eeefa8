#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <waggle/detail/duration.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/net/socket.hpp>
#include <waggle/wire/json.hpp>

#include "tools/waggle/frame_text.hpp"
#include "tools/waggle/hex.hpp"
#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

struct raw_flags {
  std::vector<std::string> frames;
  bool hex = false;
  bool bundle = false;
  std::optional<std::size_t> count;
  std::string wait = "2s";
};

/// One argument as the bytes to be sent.
result<std::string> message_from(const std::string& argument, bool is_hex) {
  const bool is_file = argument == "-" || argument.starts_with('@');
  auto bytes = read_argument(argument, true, milliseconds{0});
  if (!bytes) return bytes;
  if (is_hex) {
    auto out = from_hex(*bytes);
    if (!out) return failure(status::invalid_argument, "not pairs of hex digits: \"" + *bytes + "\"");
    return std::move(*out);
  }
  return is_file ? bytes : frame_from_json(*bytes);
}

void print_frames(const session& with, char direction, const wire::message_view& message) {
  const bool is_table = with.output_or(form::table) == form::table;
  if (with.output == form::msgpack) return direction == '<' ? with.print(message.bundle) : void();
  if (!is_table && direction == '>') return;
  for (const auto& each : show_frames(message)) {
    std::string line;
    if (is_table) {
      line = std::string{direction} + " " +
             toned(each.problem.empty() ? tone::strong : tone::bad, printable(each.label + each.problem), with.out());
      line += (each.json.empty() ? "" : "  " + printable(each.json)) + "\n" +
              toned(tone::faint, to_hex(each.bytes, 25, 4), with.out());
    } else {
      const auto entry = [&](std::string_view key, std::string_view text) {
        if (text.empty()) return;
        line.append(line.empty() ? "{" : ",").append("\"").append(key).append("\":");
        key == "frame" ? void(line += text) : wire::append_json_string(line, text);
      };
      entry("label", each.label);
      entry("problem", each.problem);
      entry("frame", each.json);
      entry("hex", to_hex(each.bytes));
      line += '}';
    }
    with.print(line + "\n");
  }
}

int raw(const session& with, const raw_flags& flags) {
  std::vector<std::string> messages;
  std::size_t wanted = 0;
  for (const auto& each : flags.frames) {
    auto message = message_from(each, flags.hex);
    if (!message) return with.misuse(message.error().message);
    wanted += replies_wanted(*message);
    if (flags.bundle && !messages.empty()) {
      messages.front() += *message;
    } else {
      messages.push_back(std::move(*message));
    }
  }
  if (flags.count) wanted = *flags.count;

  net::context sockets;
  net::dealer socket{sockets, net::dealer::greeting::none};  // it sends what it is told and nothing else
  socket.connect(with.broker, read_keys(with.keys));
  const auto until = std::chrono::steady_clock::now() + *detail::parse_duration(flags.wait);
  std::size_t sent = 0, replies = 0;
  while (std::chrono::steady_clock::now() < until && (sent < messages.size() || wanted == 0 || replies < wanted)) {
    for (; sent < messages.size() && socket.send(messages[sent]) == net::sent::yes; ++sent) {
      print_frames(with, '>', messages[sent]);
    }
    while (const auto got = socket.receive()) {
      for (const auto& each : show_frames(*got)) replies += each.is_reply ? 1 : 0;
      print_frames(with, '<', *got);
    }
    if (wanted != 0 && replies >= wanted && sent == messages.size()) break;
    net::waiter waiter;
    sent < messages.size() ? waiter.read_write(socket) : waiter.read(socket);
    waiter.wait_until(until);
  }
  if (sent < messages.size()) return with.fail({status::unavailable, "no broker answers at " + with.broker});
  if (replies >= wanted) return 0;
  return with.fail({status::deadline_exceeded,
                    std::to_string(replies) + " of " + std::to_string(wanted) + " replies came in " + flags.wait});
}

}  // namespace

command make_raw(CLI::App& app, session& with) {
  const auto given = std::make_shared<raw_flags>();
  auto* flags = app.add_subcommand("raw", "Send any frames and print what comes back");
  flags->add_option("FRAME", given->frames, "JSON, or @FILE or - with bytes as they are")->type_name("")->required();
  flags->add_flag("--hex", given->hex, "Frames are pairs of hex digits, those in files too");
  flags->add_flag("--bundle", given->bundle, "All frames in one message, not one message each");
  flags->add_option("--count", given->count, "End after so many REPLYs; else as many as asked for")->type_name("N");
  flags->add_option("--wait", given->wait, "End after so long")
      ->type_name("TIME")
      ->capture_default_str()
      ->check(detail::duration_problem);
  flags->footer(
      "A frame in JSON is the frame's array. Its first element is the number of a frame\n"
      "type or its name. Where the type has a payload, that element is packed as\n"
      "msgpack into a bin (null stays nil); all else is converted as it stands. What is\n"
      "no frame is sent too: that is what this command is for.\n\n"
      "Examples:\n"
      "  waggle raw '[\"CALL\",7,\"hello.say\",{\"name\":\"Ada\"},1000,null]'\n"
      "  waggle raw '[0,1,null]' '[1,2,\"waggle.ping\",[1,2],1000,null]' --bundle\n"
      "  waggle raw --hex '96 01 07 a9 68 65 6c 6c 6f 2e 73 61 79 c0 cd 03 e8 c0'\n"
      "  waggle raw @frames.msgpack --wait 500ms");
  return {flags, [&with, given] { return raw(with, *given); }};
}

}  // namespace waggle::cli
