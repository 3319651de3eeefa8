#include <string>
#include <string_view>

#include <waggle/fields.hpp>
#include <waggle/wire/json.hpp>

#include "support/catch.hpp"
#include "tools/waggle/completion.hpp"
#include "tools/waggle/network.hpp"
#include "tools/waggle/payload.hpp"
#include "tools/waggle/schema_text.hpp"
#include "tools/waggle/table.hpp"
#include "tools/waggle/text.hpp"
#include "tools/waggle/view.hpp"

using namespace std::string_literals;
using namespace std::string_view_literals;
using namespace waggle::cli;

namespace {

std::string packed(std::string_view json) {
  const auto out = waggle::wire::json_to_msgpack(json);
  REQUIRE(out);
  return *out;
}

/// The fields of a schema, one in a line.
std::string rows(std::string_view schema) {
  std::string out;
  for (const auto& each : fields_of_schema(packed(schema))) {
    out += each.path + ": " + each.type + (each.required ? "" : " (optional)") +
           (each.about.empty() ? "" : " - " + each.about) + "\n";
  }
  return out;
}

std::string example(std::string_view schema) { return example_of_schema(packed(schema)); }

network two_services() {
  const auto bytes = packed(R"({"revision":"r:1","broker":{"instance":"b","version":"0.1.0"},"services":[
    {"service":"hello","version":"1.0.0",
     "commands":[{"name":"hello.say","retry":"safe","doc":"Greets somebody by name.","http":["GET /hello"],
       "request":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]},"reply":{"type":"string"}}],
     "instances":[{"instance":"hello-1","slots":16,"in_flight":2,"draining":false},
                  {"instance":"hello-2","slots":16,"in_flight":0,"draining":true}]},
    {"service":"shop","version":"2.1.0",
     "commands":[{"name":"order.list","retry":"safe"},
                 {"name":"order.place","retry":"once","streams":true,"http":["POST /orders","PUT /orders/{id}"],
                  "doc":"Places an order and reserves what is in it, in whichever warehouse has all of it."}],
     "instances":[]}]})");
  const auto read = waggle::read_payload<network>(bytes);
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  return *read;
}

}  // namespace

TEST_CASE("cli: a payload is JSON unless it is said to be msgpack", "[cli]") {
  CHECK(payload_from(R"( {"name":"Ada"} )", encoding::json) == packed(R"({"name":"Ada"})"));
  CHECK(payload_from("", encoding::json) == "");
  CHECK(payload_from(" \n", encoding::json) == "");
  CHECK(payload_from("null", encoding::json) == "\xc0");
  CHECK(payload_from("\x91\x01", encoding::msgpack) == "\x91\x01");
  CHECK(payload_from("", encoding::msgpack) == "");
}

TEST_CASE("cli: what is no payload is refused with the place and a hint", "[cli]") {
  const auto word = payload_from("hello", encoding::json);
  REQUIRE_FALSE(word);
  CHECK(word.error().message.find("a text needs quotes of its own") != std::string::npos);
  const auto open = payload_from("{\"a\":", encoding::json);
  REQUIRE_FALSE(open);
  CHECK(open.error().message.find("line 1, column") != std::string::npos);
  const auto two = payload_from("\x01\x02", encoding::msgpack);
  REQUIRE_FALSE(two);
  CHECK(two.error().message == "the payload is not one msgpack value: more bytes follow the value (at byte 1)");
  CHECK_FALSE(payload_from("\x91", encoding::msgpack));
  const auto large = payload_from('"' + std::string(5u << 20, 'x') + '"', encoding::json);
  REQUIRE_FALSE(large);
  CHECK(large.error().message == "the payload is larger than 4 MiB");
}

TEST_CASE("cli: a payload argument is itself, or a file", "[cli]") {
  CHECK(read_argument("{}", true, std::chrono::milliseconds{0}) == "{}");
  CHECK(read_argument("@/dev/null", true, std::chrono::milliseconds{0}) == "");
  const auto missing = read_argument("@/nowhere/at.all", true, std::chrono::milliseconds{0});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message == "cannot open /nowhere/at.all: No such file or directory");
  CHECK_FALSE(read_argument("@/", true, std::chrono::milliseconds{0}));
}

TEST_CASE("cli: a peer's text cannot move the cursor", "[cli]") {
  CHECK(printable("plain \xc3\xa9") == "plain \xc3\xa9");
  CHECK(printable("a\x1b[2J\nb\x7f\xc2\x9b!") == "a [2J b  !");
  CHECK(printable("\xff") == "(text that is not UTF-8)");
}

TEST_CASE("cli: text is measured, cut and wrapped by characters", "[cli]") {
  CHECK(columns("é…x") == 3);
  CHECK(cut("éééé", 4) == "éééé");
  CHECK(cut("ééééé", 4) == "ééé…");
  CHECK(cut("text", 0) == "text");
  CHECK(wrapped("one two  three", 9, 2) == "one two\n  three");
  CHECK(wrapped("one two three", 0, 2) == "one two three");
  CHECK(wrapped("incomprehensibilities", 5, 0) == "incomprehensibilities");
  CHECK(wrapped("", 5, 0).empty());
}

TEST_CASE("cli: colour appears only on a screen that has it", "[cli]") {
  CHECK(toned(tone::bad, "x", {80, false}) == "x");
  CHECK(toned(tone::bad, "x", {80, true}) == "\x1b[31mx\x1b[0m");
  CHECK(toned(tone::plain, "x", {80, true}) == "x");
}

TEST_CASE("cli: text is quoted for a shell", "[cli]") {
  CHECK(shell_quoted(R"({"a":1})") == R"('{"a":1}')");
  CHECK(shell_quoted("it's") == R"('it'\''s')");
}

TEST_CASE("cli: a table is aligned, without empty columns and trailing spaces, and its last column is cut", "[cli]") {
  table rows{{"NAME", "EMPTY", "ABOUT"}};
  rows.row({"é", "", "short"});
  rows.row({"longer", "", "a text of some length"});
  rows.row({"bare"});
  CHECK(rows.lines({}) == "NAME    ABOUT\né       short\nlonger  a text of some length\nbare\n");
  CHECK(rows.lines({20, false}, 2) == "  NAME    ABOUT\n  é       short\n  longer  a text of…\n  bare\n");
  CHECK(rows.lines({80, true}).starts_with("\x1b[2mNAME\x1b[0m    \x1b[2mABOUT\x1b[0m\n"));
}

TEST_CASE("cli: a table that is too wide for the screen is cut in its widest columns, and its first stays whole", "[cli]") {
  table rows{{"COMMAND", "CALLER", "WORKER", "N", "KEY"}};
  rows.row({"order.place", "a-caller", "order-service-7f9c6d8b5-x2x4k", "1", "customer-7"});
  CHECK(rows.lines({52, false}) ==
        "COMMAND      CALLER    WORKER            N  KEY\n"
        "order.place  a-caller  order-service-7…  1  custome…\n");
  // No column gets narrower than eight characters.
  CHECK(rows.lines({10, false}) ==
        "COMMAND      CALLER    WORKER    N  KEY\n"
        "order.place  a-caller  order-s…  1  custome…\n");
}

TEST_CASE("cli: a schema becomes a row for each field, however deep", "[cli]") {
  CHECK(rows(R"({"type":"object","properties":{
    "name":{"type":"string","description":"Who it is for"},
    "lines":{"type":"array","items":{"title":"line","type":"object",
      "properties":{"sku":{"type":"string"},"amount":{"type":"integer","minimum":0,"maximum":65535}},"required":["sku"]}},
    "prices":{"type":"object","additionalProperties":{"type":"number"}},
    "colour":{"type":"string","enum":["red","green"]},
    "box":{"type":"array","items":{"type":"boolean"},"minItems":3,"maxItems":3},
    "when":{"type":"string","format":"date-time"},
    "bytes":{"type":"string","contentEncoding":"base64"},
    "nick":{"type":["string","null"]},
    "either":{"anyOf":[{"type":"integer"},{"type":"null"}]},
    "level":{"type":"integer","minimum":1,"maximum":5},
    "any":{}},"required":["name","lines"]})") ==
        "name: string - Who it is for\n"
        "lines: list of line\n"
        "lines[].sku: string\n"
        "lines[].amount: uint16 (optional)\n"
        "prices: map of number (optional)\n"
        "colour: red | green (optional)\n"
        "box: list of 3, each of boolean (optional)\n"
        "when: date-time (optional)\n"
        "bytes: base64 (optional)\n"
        "nick: string or null (optional)\n"
        "either: integer or nothing (optional)\n"
        "level: integer from 1 to 5 (optional)\n"
        "any: anything (optional)\n");
}

TEST_CASE("cli: a payload that is no object is one row", "[cli]") {
  CHECK(rows(R"({"type":"null"})") == ": nothing\n");
  CHECK(rows(R"({"type":"integer","minimum":0})") == ": integer from 0\n");
  CHECK(rows(R"({"type":"array","items":{"type":"object","properties":{"a":{}},"required":["a"]}})") ==
        ": list of object\n[].a: anything\n");
  CHECK(rows("{}") == ": anything\n");
  CHECK(rows(R"({"type":"object","properties":{}})") == ": no fields\n");
  CHECK(fields_of_schema("").at(0).type == "anything");
  CHECK(fields_of_schema("\xc1").at(0).type == "anything");
}

TEST_CASE("cli: an example has what a schema requires", "[cli]") {
  CHECK(
      example(
          R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]})") ==
      R"({"name":"text"})");
  CHECK(
      example(R"({"type":"object","properties":{"c":{"enum":["red","green"]},"t":{"type":"string","format":"date-time"},
    "l":{"type":"array","items":{"type":"boolean"},"minItems":2},"n":{"type":"integer","minimum":10},
    "d":{"type":"string","default":"x"}},"required":["c","t","l","n","d"]})") ==
      R"({"c":"red","t":"2026-07-14T09:30:00Z","l":[true,true],"n":10,"d":"x"})");
  CHECK(example(R"({"type":"null"})").empty());
  CHECK(example(R"({"type":"object","properties":{"a":{"type":"string"}}})").empty());
  CHECK(example_of_schema("").empty());
}

TEST_CASE("cli: an example of a schema that asks for too much ends", "[cli]") {
  std::string schema = R"({"type":"integer"})";
  for (int i = 0; i < 20; ++i) schema = R"({"type":"array","minItems":16,"items":)" + schema + "}";
  CHECK(example(schema).size() < 10'000);
}

TEST_CASE("cli: services are listed with commands, routes and instances", "[cli]") {
  CHECK(services_text(two_services(), {80, false}) ==
        "hello 1.0.0  2 instances, 2 of 32 slots busy\n"
        "  COMMAND    RETRY  ROUTE       DOC\n"
        "  hello.say  safe   GET /hello  Greets somebody by name.\n"
        "\n"
        "  INSTANCE  BUSY  STATE\n"
        "  hello-1   2/16  serving\n"
        "  hello-2   0/16  draining\n"
        "\n"
        "shop 2.1.0  0 instances, 0 of 0 slots busy\n"
        "  COMMAND      RETRY          ROUTE             DOC\n"
        "  order.list   safe\n"
        "  order.place  once, streams  POST /orders      Places an order and reserves wh…\n"
        "                              PUT /orders/{id}\n");
}

TEST_CASE("cli: a command is explained with its fields and an example", "[cli]") {
  const auto all = two_services();
  CHECK(command_text(find_command(all, "hello.say"), {80, false}) ==
        "hello.say\n"
        "Greets somebody by name.\n"
        "\n"
        "service    hello 1.0.0, 2 instances, 2 of 32 slots busy\n"
        "retry      safe: changes nothing; run again when a worker dies with it\n"
        "routes     GET /hello\n"
        "served by  hello-1, 2 of 16 slots busy\n"
        "           hello-2, 0 of 16 slots busy, draining\n"
        "\n"
        "request\n"
        "  FIELD  TYPE    REQUIRED\n"
        "  name   string  yes\n"
        "\n"
        "reply\n"
        "  string\n"
        "\n"
        "try\n"
        "  waggle call hello.say '{\"name\":\"text\"}'\n");
  const auto text = command_text(find_command(all, "order.place"), {80, false});
  CHECK(text.find("streams    sends parts before its reply\n") != std::string::npos);
  CHECK(text.find("routes     POST /orders\n           PUT /orders/{id}\n") != std::string::npos);
  CHECK(text.find("request\n  anything\n") != std::string::npos);
}

TEST_CASE("cli: commands are kept by prefix, and services without any are not", "[cli]") {
  auto all = two_services();
  keep_commands(all, "");
  CHECK(all.services.size() == 2);
  keep_commands(all, "order.p");
  REQUIRE(all.services.size() == 1);
  CHECK(commands_of(all.services[0]).size() == 1);
  CHECK(command_names(all).front().first == "order.place");
  keep_commands(all, "nothing");
  CHECK(all.services.empty());
}

TEST_CASE("cli: a mistyped command suggests the one that is most like it", "[cli]") {
  const auto names = command_names(two_services());
  CHECK(closest("hello.sya", names) == "hello.say");
  CHECK(closest("order.plac", names) == "order.place");
  CHECK(closest("zebra", names).empty());
  CHECK(closest("", names).empty());
  CHECK(closest(std::string(100'000, 'x'), names).empty());
}

TEST_CASE("cli: values are shown as tables where they have rows", "[cli]") {
  CHECK(value_text(packed(R"({"id":7,"tags":["a","b"],"note":null,"text":"a\nb"})"), {}) ==
        "FIELD  VALUE\nid     7\ntags   [\"a\",\"b\"]\nnote\ntext   a b\n");
  CHECK(value_text(packed(R"([{"id":1},{"id":2,"name":"x"}])"), {}) == "id  name\n1\n2   x\n");
  CHECK(value_text(packed("[1,2]"), {}) == "[1,2]\n");
  CHECK(value_text(packed("\"text\""), {}) == "text\n");
  CHECK(value_text(packed("[]"), {}) == "[]\n");
  CHECK(value_text(packed("{}"), {}) == "{}\n");
}

TEST_CASE("cli: an error is one line, and one more for each of several problems", "[cli]") {
  waggle::error why{waggle::status::unavailable, "no worker\nanswers"};
  CHECK(error_text(why, false, {}) == "waggle: UNAVAILABLE: no worker answers\n");
  CHECK(error_text(why, true, {}) == "waggle: UNAVAILABLE: no worker answers (the command has not run)\n");
  why.may_have_run = true;
  why.retry_after = std::chrono::milliseconds{250};
  CHECK(error_text(why, true, {}) ==
        "waggle: UNAVAILABLE: no worker answers (the command may have run) (try again in 250 ms)\n");
  why = {waggle::status::invalid_argument, "refused"};
  why.problems = {{"a.b", "is missing"}};
  CHECK(error_text(why, false, {}) == "waggle: INVALID_ARGUMENT: refused\n");
  why.problems.push_back({"", "is odd"});
  CHECK(error_text(why, false, {}) == "waggle: INVALID_ARGUMENT: refused\n  a.b: is missing\n  is odd\n");
}

TEST_CASE("cli: there is a completion script for each shell, and for no other", "[cli]") {
  for (const auto shell : {"bash"sv, "zsh"sv, "fish"sv}) {
    const auto script = completion_script(shell);
    CHECK(script.find("__commands") != std::string_view::npos);
    CHECK(script.find("__workers") != std::string_view::npos);
    CHECK(script.find("__groups") != std::string_view::npos);
    CHECK(script.find("__dead") != std::string_view::npos);
    for (const auto each : {"keygen"sv, "key-file"sv, "broker-key"sv}) CHECK(script.find(each) != std::string_view::npos);
    CHECK(script.find("waggle completion " + std::string{shell}) != std::string_view::npos);
  }
  CHECK(completion_script("tcsh").empty());
}
