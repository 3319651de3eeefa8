#include "broker/events/topic_config.hpp"

#include <fstream>

#include "support/log_fixture.hpp"

using namespace std::literals;
using namespace waggle::broker;

namespace {

/// All that is wrong with a text, a line each, or "accepted".
std::string errors_of(const std::string& text) {
  const auto out = parse_topic_config("t.yaml", text);
  if (out) return "accepted";
  std::string all;
  for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
  return all;
}

}  // namespace

TEST_CASE("topic config: streams, what they keep, and what is not kept", "[topics]") {
  const auto out = parse_topic_config("t.yaml", R"(
streams:
  orders: { topics: ["order.*", "payment.*"], keep: 30d, keep_bytes: 10GiB, full_bytes: 50GiB }
  events: { topics: ["*"] }
ephemeral: ["metric.*"]
)");
  REQUIRE(out.has_value());
  REQUIRE(out->streams.size() == 2);
  CHECK(out->streams[0].stream == "orders");
  CHECK(out->streams[0].topics == std::vector{"order.*"s, "payment.*"s});
  CHECK(out->streams[0].keep == 720h);
  CHECK(out->streams[0].keep_bytes == 10ull << 30);
  CHECK(out->streams[0].full_bytes == 50ull << 30);
  CHECK(out->streams[1].keep == stream_settings{}.keep);
  CHECK(out->ephemeral == std::vector{"metric.*"s});
}

TEST_CASE("topic config: without streams there is the usual one, unless nothing is to be kept", "[topics]") {
  CHECK(parse_topic_config("t.yaml", "ephemeral: [metric.*]")->streams.at(0).stream == "events");
  CHECK(parse_topic_config("t.yaml", "ephemeral: ['*']")->streams.empty());
}

TEST_CASE("topic config: the size at which a stream is full follows the one that is kept", "[topics]") {
  const auto large = parse_topic_config("t.yaml", "streams: {a: {topics: [b], keep_bytes: 20GiB}}");
  CHECK(large->streams.at(0).full_bytes == 160ull << 30);
  const auto small = parse_topic_config("t.yaml", "streams: {a: {topics: [b], full_bytes: 1MiB}}");
  CHECK(small->streams.at(0).keep_bytes == 1u << 20);
}

TEST_CASE("topic config: a mistake is told with its line and what helps", "[topics]") {
  const std::string head = "streams:\n  a:\n    topics: [b]\n";
  const std::pair<std::string, std::string> rows[] = {
      {"", "t.yaml:1: the file says nothing; write streams: or ephemeral:, or leave --config away"},
      {"a: [", "t.yaml:1: this is not YAML (end of sequence flow not found); look for quotes, colons and the depth of lines"},
      {"- a", "t.yaml:1: this is no map; write streams: and ephemeral:"},
      {"---\na: 1\n---\nb: 2", "t.yaml:1: the file holds several YAML documents; write one, without ---"},
      {"\nstream: {}", "t.yaml:2: the key \"stream\" is not known; the file has streams and ephemeral"},
      {"streams:\n", "t.yaml:1: streams is no map of streams; write one below it, as in events: {topics: [\"*\"]}"},
      {"streams:\n  a:\n", "t.yaml:2: the stream \"a\" says nothing; write its topics, as in {topics: [\"order.*\"]}"},
      {"streams:\n  a: {keep: 1d}", "t.yaml:2: the stream \"a\" has no topics; write some, as in topics: [\"order.*\"]"},
      {"streams:\n  a: {topics: b}", "t.yaml:2: topics is no list of patterns; write one, as in topics: [\"order.*\", \"user.added\"]"},
      {"streams:\n  a: {topics: []}", "t.yaml:2: topics is no list of patterns; write one, as in topics: [\"order.*\", \"user.added\"]"},
      {"streams:\n  'a b': {topics: [b]}",
       "t.yaml:2: \"a b\" is no name of a stream; write at most 32 bytes without spaces and *, not beginning with waggle."},
      {"streams:\n  waggle.x: {topics: [b]}",
       "t.yaml:2: \"waggle.x\" is no name of a stream; write at most 32 bytes without spaces and *, not beginning with waggle."},
      {"streams:\n  " + std::string(33, 'a') + ": {topics: [b]}",
       "t.yaml:2: \"" + std::string(33, 'a') + "\" is no name of a stream; write at most 32 bytes without spaces and *, not beginning with waggle."},
      {"streams:\n  a: {topics: [b]}\n  a: {topics: [c]}", "t.yaml:3: the stream \"a\" stands here twice; put their topics together"},
      {"streams:\n  a:\n    topics:\n    - 'b*c'",
       "t.yaml:4: \"b*c\" is no pattern of topics; write a topic, what topics begin with and a * behind it, or *; at most 128 bytes, not waggle."},
      {"streams:\n  a:\n    topics: [b]\n  c:\n    topics: [b]",
       "t.yaml:5: the pattern \"b\" stands in line 3 too; a topic has one place: remove one"},
      {head + "ephemeral: [b]", "t.yaml:4: the pattern \"b\" stands in line 3 too; a topic has one place: remove one"},
      {head + "    age: 1d", "t.yaml:4: the key \"age\" is not known; a stream has topics, keep, keep_bytes and full_bytes"},
      {head + "    keep: 1d\n    keep: 2d", "t.yaml:5: the key \"keep\" stands here twice; remove one"},
      {head + "    keep: 5 days", "t.yaml:4: keep is \"5 days\", which is no time; write 30d, 12h, 5m or 10s"},
      {head + "    keep: 0d", "t.yaml:4: keep is \"0d\", which is no time; write 30d, 12h, 5m or 10s"},
      {head + "    keep_bytes: 10GB", "t.yaml:4: keep_bytes is \"10GB\", which is no size; write 10GiB, 64MiB, 4KiB or 100B"},
      {head + "    full_bytes: 99999999TiB", "t.yaml:4: full_bytes is \"99999999TiB\", which is no size; write 10GiB, 64MiB, 4KiB or 100B"},
      {head + "    keep_bytes: 2GiB\n    full_bytes: 1GiB",
       "t.yaml:4: keep_bytes is more than full_bytes, so the stream would be full before anything is forgotten; swap them"},
      {std::string((1u << 20) + 1, ' '), "t.yaml:1: the file is larger than 1 MiB; write patterns with * instead of topics"},
  };
  for (const auto& [text, said] : rows) {
    CAPTURE(text.substr(0, 200));
    CHECK(errors_of(text) == said);
  }
  std::string many = "streams:\n";
  for (int i = 0; i < 33; ++i) many += "  s" + std::to_string(i) + ": {topics: [t" + std::to_string(i) + "]}\n";
  CHECK(errors_of(many) == "t.yaml:34: there are more than 32 streams; put topics together that are kept for the same time");
}

TEST_CASE("topic config: a file that is not there is named", "[topics]") {
  const waggle::broker::test::temporary_folder folder;
  const auto path = (folder.path() / "t.yaml").string();
  CHECK(read_topic_config(path).error().at(0) == path + ": the file cannot be read; look at its name and its permissions");
  std::ofstream{path} << "ephemeral: [a]";
  CHECK(read_topic_config(path)->ephemeral == std::vector{"a"s});
}
