// Manifests, the error object and the status table.
#include "support/catch.hpp"

#include <random>
#include <set>
#include <string>
#include <string_view>

#include <waggle/wire/manifest.hpp>

using namespace std::literals;
using namespace waggle;
using namespace waggle::wire;

namespace {

manifest everything() {
  manifest out{"shop", "1.2.3", "shop-left", 16, 32, {}};
  command_manifest& buy = out.commands.emplace_back();
  buy.name = "shop.buy";
  buy.doc = "Buys größere Dinge.";
  buy.retry = retry_class::idempotent;
  buy.streams = true;
  buy.http = {"POST /orders", "PUT /orders/{id}"};
  buy.request = "\x81\xa4type\xa6object";
  buy.reply = "\x80";
  out.commands.emplace_back().name = "shop.list";
  out.commands.back().retry = retry_class::safe;
  return out;
}

std::string bytes_of(const manifest& from) {
  std::string out;
  append_manifest(out, from);
  return out;
}

/// A map of one service called "s" with `entries` more, given as msgpack.
std::string with(std::size_t count, std::string_view entries) {
  std::string out;
  writer to{out};
  to.map(1 + count);
  to.string("service");
  to.string("s");
  to.raw(entries);
  return out;
}

constexpr std::string_view one_command = "\xa8" "commands\x91\x81\xa4name\xa1" "c";

/// Where a refused manifest is wrong, as the error says.
std::string wrong_at(std::string_view bytes) {
  const auto read = read_manifest(bytes);
  if (read) return "accepted";
  CHECK(read.error().code == status::invalid_argument);
  CHECK_FALSE(read.error().may_have_run);
  REQUIRE(read.error().problems.size() == 1);
  CHECK_FALSE(read.error().problems[0].message.empty());
  return read.error().problems[0].path;
}

}  // namespace

TEST_CASE("manifest: everything that is written is read", "[wire]") {
  const auto from = everything();
  const auto read = read_manifest(bytes_of(from));
  REQUIRE(read);
  CHECK(read->service == from.service);
  CHECK(read->version == from.version);
  CHECK(read->instance == from.instance);
  CHECK(read->slots == from.slots);
  CHECK(read->quick_slots == 0);
  CHECK(read->bundle == from.bundle);
  REQUIRE(read->commands.size() == 2);
  const auto& buy = read->commands[0];
  CHECK(buy.name == "shop.buy");
  CHECK(buy.doc == "Buys größere Dinge.");
  CHECK(buy.retry == retry_class::idempotent);
  CHECK(buy.streams);
  CHECK(buy.http == from.commands[0].http);
  CHECK(buy.request == from.commands[0].request);
  CHECK(buy.reply == "\x80");
  CHECK(read->commands[1].retry == retry_class::safe);
  CHECK_FALSE(read->commands[1].streams);
  CHECK(bytes_of(*read) == bytes_of(from));
}

TEST_CASE("manifest: slots for what is quick, and what is, are read as they are written", "[wire]") {
  auto from = everything();
  from.quick_slots = 1024;
  from.commands[1].quick = true;
  from.events.emplace_back().topic = "order.*";
  from.events.emplace_back().topic = "user.*";
  from.events.back().quick = true;
  const auto read = read_manifest(bytes_of(from));
  REQUIRE(read);
  CHECK(read->quick_slots == 1024);
  CHECK_FALSE(read->commands[0].quick);
  CHECK(read->commands[1].quick);
  CHECK(read->events == from.events);
  CHECK(bytes_of(*read) == bytes_of(from));
  CHECK(wrong_at(with(2, "\xabquick_slots\x00"s + std::string{one_command})) == "quick_slots");
  CHECK(wrong_at(with(2, "\xabquick_slots\xcd\x10\x01" + std::string{one_command})) == "quick_slots");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa5quick\x01")) == "commands[0].quick");
}

TEST_CASE("manifest: one that is cut at any byte is refused", "[wire]") {
  const auto bytes = bytes_of(everything());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK_FALSE(read_manifest(std::string_view{bytes}.substr(0, cut)));
  }
}

TEST_CASE("manifest: a service and one command are enough", "[wire]") {
  const auto read = read_manifest(with(1, one_command));
  REQUIRE(read);
  CHECK(read->slots == 1);
  CHECK(read->bundle == 1);
  CHECK(read->version.empty());
  CHECK(read->commands[0].retry == retry_class::once);
}

TEST_CASE("manifest: keys that we do not know are stepped over", "[wire]") {
  CHECK(read_manifest(with(2, "\xa3new\x93\x01\x02\x80" + std::string{one_command})));
  CHECK(read_manifest(with(1, "\xa8" "commands\x91\x82\xa3new\x90\xa4name\xa1" "c")));
}

TEST_CASE("manifest: what is wrong is named by its path", "[wire]") {
  CHECK(wrong_at("\xc0") == "");
  CHECK(wrong_at("\x81\x01\x02") == "");
  CHECK(wrong_at("\x80") == "service");
  CHECK(wrong_at(with(0, "")) == "commands");
  CHECK(wrong_at(with(1, "\xa8" "commands\x90")) == "commands");
  CHECK(wrong_at(with(1, "\xa8" "commands\x80")) == "commands");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x01")) == "commands[0]");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x80")) == "commands[0].name");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa4name\xa3" "a b")) == "commands[0].name");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa4name\xa8waggle.x")) == "commands[0].name");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa4name\x05")) == "commands[0].name");
  CHECK(wrong_at(with(1, "\xa8" "commands\x92\x81\xa4name\xa1" "c\x81\xa5retry\xa5never")) == "commands[1].retry");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa7streams\x01")) == "commands[0].streams");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa4http\xa1x")) == "commands[0].http");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa4http\x91\x05")) == "commands[0].http");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa7request\x90")) == "commands[0].request");
  CHECK(wrong_at(with(1, "\xa8" "commands\x91\x81\xa3" "doc\xa1\xff")) == "commands[0].doc");
  CHECK(wrong_at(with(2, "\xa5slots\x00"s + std::string{one_command})) == "slots");
  CHECK(wrong_at(with(2, "\xa5slots\xcd\x10\x01" + std::string{one_command})) == "slots");
  CHECK(wrong_at(with(2, "\xa5slots\xff" + std::string{one_command})) == "slots");
  CHECK(wrong_at(with(2, "\xa6" "bundle\x00"s + std::string{one_command})) == "bundle");
  CHECK(wrong_at(with(2, "\xa8instance\xa3" "a b" + std::string{one_command})) == "instance");
  CHECK(wrong_at(with(2, "\xa7version\x05" + std::string{one_command})) == "version");
}

TEST_CASE("manifest: limits hold for the longest and not for one more", "[wire]") {
  auto from = everything();
  from.version = std::string(name_bytes_max, 'v');
  from.slots = slots_max;
  from.commands[0].doc = std::string(4096, 'd');
  from.commands[0].http.assign(manifest_routes_max, "GET /" + std::string(1019, 'p'));
  CHECK(read_manifest(bytes_of(from)));
  from.commands[0].http.emplace_back("GET /one-more");
  CHECK(wrong_at(bytes_of(from)) == "commands[0].http");
  from = everything();
  from.commands[0].doc = std::string(4097, 'd');
  CHECK(wrong_at(bytes_of(from)) == "commands[0].doc");
  from = everything();
  from.commands.resize(manifest_commands_max, from.commands[1]);
  CHECK(read_manifest(bytes_of(from)));
  from.commands.resize(manifest_commands_max + 1, from.commands[1]);
  CHECK(wrong_at(bytes_of(from)) == "commands");
  from = everything();
  from.bundle = 1'000'000;
  CHECK(read_manifest(bytes_of(from))->bundle == bundle_frames_max);
}

TEST_CASE("manifest: a key that comes twice counts once, with its last value, so that limits cannot be passed in pieces", "[wire]") {
  const auto twice = read_manifest(with(2, std::string{one_command} + "\xa8" "commands\x91\x81\xa4name\xa1" "d"));
  REQUIRE(twice);
  REQUIRE(twice->commands.size() == 1);
  CHECK(twice->commands[0].name == "d");
  const auto routes = read_manifest(with(1, "\xa8" "commands\x91\x83\xa4name\xa1" "c\xa4http\x91\xa1x\xa4http\x91\xa1y"));
  REQUIRE(routes);
  CHECK(routes->commands[0].http == std::vector{"y"s});
}

TEST_CASE("manifest: any bytes are a manifest or an error with one problem", "[wire]") {
  const auto seed = std::random_device{}();
  std::mt19937_64 random{seed};
  const auto good = bytes_of(everything());
  std::size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good;
    for (auto left = 1 + random() % 3; left > 0; --left) bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    INFO("seed " << seed << ", round " << i);
    const auto read = read_manifest(std::string{bytes});
    if (!read) {
      REQUIRE(read.error().problems.size() == 1);
      REQUIRE(is_utf8(read.error().message));
      REQUIRE(is_utf8(read.error().problems[0].path));
      continue;
    }
    ++accepted;
    REQUIRE(read_manifest(bytes_of(*read)));
  }
  CHECK(accepted > 100);
}

TEST_CASE("error: everything that is written is read", "[wire]") {
  const error from{status::invalid_argument, "no größe", false, 1500ms, {{"a.b[2]", "expected a string"}, {"", "or nothing"}}};
  std::string payload;
  append_error(payload, from);
  const auto read = read_error(status::invalid_argument, payload);
  CHECK(read.code == from.code);
  CHECK(read.message == from.message);
  CHECK(read.may_have_run == from.may_have_run);
  CHECK(read.retry_after == from.retry_after);
  REQUIRE(read.problems.size() == 2);
  CHECK(read.problems[0].path == "a.b[2]");
  CHECK(read.problems[0].message == "expected a string");
  CHECK(read.problems[1].message == "or nothing");
}

TEST_CASE("error: the status decides, and a payload that says nothing leaves the table's meaning and that it may have run", "[wire]") {
  for (const auto& payload : {""s, "\xc0"s, "\xc1"s, "\x90"s, "\x80"s, "\x81\xa7message\x05"s, "\x81\xa7message\xa1\xff"s,
                              "\x81\xacmay_have_run\x00"s, "\x81\xa4" "code\xa2OK"s, "\x8f"s}) {
    const auto read = read_error(status::data_loss, payload);
    CHECK(read.code == status::data_loss);
    CHECK(read.message == info(status::data_loss).meaning);
    CHECK(read.may_have_run);
    CHECK_FALSE(read.retry_after);
    CHECK(read.problems.empty());
  }
}

TEST_CASE("error: a cut or endless payload gives what came before, within bounds", "[wire]") {
  error from{status::aborted, "m", false, 10ms, {}};
  from.problems.resize(1000, problem{"p", "m"});
  std::string payload;
  append_error(payload, from);
  CHECK(read_error(status::aborted, payload).problems.size() == error_problems_max);
  for (std::size_t cut = 0; cut < payload.size(); ++cut) {
    const auto read = read_error(status::aborted, std::string{payload, 0, cut});
    CHECK(read.code == status::aborted);
    CHECK(read.problems.size() <= error_problems_max);
  }
  CHECK(read_error(status::aborted, "\x81\xaeretry_after_ms\xcf\xff\xff\xff\xff\xff\xff\xff\xff").retry_after ==
        std::chrono::milliseconds{budget_ms_max});
  error past{status::aborted, "m", false, -5ms, {}};
  payload.clear();
  append_error(payload, past);
  CHECK(read_error(status::aborted, payload).retry_after == 0ms);
}

TEST_CASE("status: the table is in the order of the numbers, and every number has a status", "[wire]") {
  std::set<std::string_view> names;
  std::set<int> exit_codes;
  for (std::uint64_t number = 0; number <= status_last; ++number) {
    const auto code = status_from(number);
    CHECK(static_cast<std::uint64_t>(code) == number);
    CHECK(info(code).code == code);
    names.insert(name(code));
    exit_codes.insert(info(code).exit_code);
  }
  CHECK(names.size() == status_last + 1);
  CHECK(exit_codes.size() == status_last + 1);
  CHECK(status_from(status_last + 1) == status::unknown);
  CHECK(status_from(~std::uint64_t{0}) == status::unknown);
  CHECK(name(static_cast<status>(200)) == "UNKNOWN");
}
