#include <memory>
#include <string>
#include <thread>

#include <waggle/wire/json.hpp>

#include "gateway/routes/jq_program.hpp"
#include "support/catch.hpp"

using waggle::gateway::jq_program;

namespace {

std::string run(const char* text, const char* json) {
  auto made = jq_program::compile(text);
  if (!made) return "not compiled: " + made.error();
  for (int again = 0;; ++again) {  // one program runs for many requests
    const auto out = made->run(waggle::wire::json_to_msgpack(json).value());
    if (!out && again == 1) return std::string{name(out.error().shown.code)} + ": " + out.error().reason;
    if (out && again == 1) return *out ? waggle::wire::msgpack_to_json(**out) : "nothing";
  }
}

}  // namespace

TEST_CASE("jq: the first output is the value, and no output is none", "[jq]") {
  CHECK(run("{a: .x, b: [.y[] | . * 2]}", R"({"x": "é", "y": [1, 2.25]})") == R"({"a":"é","b":[2,4.5]})");
  CHECK(run(".[]", "[1, 2]") == "1");
  CHECK(run("empty", "null") == "nothing");
}

TEST_CASE("jq: integers that doubles would round are refused", "[jq]") {
  CHECK(run(".", "9007199254740992") == "9007199254740992");
  CHECK(run(".", "9007199254740993") == "INVALID_ARGUMENT: an integer of the input is past 2^53, and jq's numbers are doubles");
  CHECK(run(".", "[-9007199254740993]").starts_with("INVALID_ARGUMENT"));
}

TEST_CASE("jq: a program's error is for the log and not for the client", "[jq]") {
  CHECK(run("error(\"secret\")", "1") == "INTERNAL: secret");
  auto made = jq_program::compile("error(\"secret\")");
  REQUIRE(made);
  CHECK(made->run("\x01").error().shown.message.find("secret") == std::string::npos);
}

TEST_CASE("jq: what reaches out of a value is refused when it is compiled", "[jq]") {
  for (const char* each : {"env", "$ENV.HOME", "$ ENV", "input", "[inputs]", "import \"a\" as a; .", "include \"a\"; .", "halt",
                           "\"x\\(env.HOME)\"", "\"a\\(\"b\\($ENV)\")\"", "[1, env]", "debug", "{a: env}", "{(env.A): 1}",
                           "input_filename", "1 # comment\n| env"}) {
    INFO(each);
    const auto made = jq_program::compile(each);
    REQUIRE_FALSE(made);
    CHECK(made.error().find("is not for programs") != std::string::npos);
  }
  CHECK(run("{env: .env, input: \"env\" } # env", R"({"env": 1})") == R"({"env":1,"input":"env"})");
}

TEST_CASE("jq: a program that does not parse says why in one line", "[jq]") {
  const auto made = jq_program::compile("{a: ");
  REQUIRE_FALSE(made);
  CHECK(made.error().find("syntax error") != std::string::npos);
  CHECK(made.error().find('\n') == std::string::npos);
}

TEST_CASE("jq: no end of a comment that versions of jq see differently hides a name", "[jq]") {
  CHECK_FALSE(jq_program::compile("1 # x\r| env"));
  CHECK_FALSE(jq_program::compile("1 # x\\\n\"\n| env"));
}

TEST_CASE("jq: a program that is still held is not compiled again, and each thread has its own", "[jq]") {
  const auto first = jq_program::shared(".a").value();
  CHECK(jq_program::shared(".a").value() == first);
  CHECK(jq_program::shared(".b").value() != first);
  CHECK_FALSE(jq_program::shared("{a: ").has_value());
  std::shared_ptr<jq_program> elsewhere;
  std::thread{[&] { elsewhere = jq_program::shared(".a").value(); }}.join();
  CHECK(elsewhere != first);
}
