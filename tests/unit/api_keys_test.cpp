// API keys: how they are made, kept, found and refused; and the file that `waggle keys` writes.
#include <sys/stat.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include <waggle/wire/json.hpp>

#include "gateway/identity/api_keys.hpp"
#include "gateway/identity/key_file.hpp"
#include "support/catch.hpp"
#include "support/key_folder.hpp"

using namespace std::chrono_literals;
using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

constexpr std::chrono::sys_seconds now{1'800'000'000s};

struct made {
  api_key entry;
  std::string text;
};
made make(std::string name, std::vector<std::string> scopes = {}) {
  const auto texts = make_api_key(random_for_api_key());
  made out{{}, texts.whole()};
  out.entry.id = texts.id;
  out.entry.name = std::move(name);
  out.entry.hash = sha256(texts.secret);
  out.entry.scopes = std::move(scopes);
  out.entry.created = now;
  return out;
}
std::string shown(const api_key_set& in, std::string_view key, std::chrono::sys_seconds at = now) {
  const auto who = in.find(key, at);
  return who ? (*who)->claims_json : std::string{who.error()};
}
std::string wrong_with(const std::string& text) {
  const auto out = read_api_keys(text);
  return out ? "accepted" : out.error().front();
}

}  // namespace

TEST_CASE("API key: it is what a scanner for secrets finds, and has 200 bits from the system", "[keys]") {
  std::array<unsigned char, 30> bytes{};
  CHECK(make_api_key(bytes).whole() == "wgl_aaaaaaaa_" + std::string(40, 'a'));
  bytes.fill(0xff);
  CHECK(make_api_key(bytes).whole() == "wgl_77777777_" + std::string(40, '7'));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i);
  CHECK(make_api_key(bytes).whole() == "wgl_aaaqeaye_audaocajbifqydiob4ibceqtcqkrmfyydenbwha5");
  std::set<std::string> all;
  for (int i = 0; i < 100; ++i) all.insert(make_api_key(random_for_api_key()).whole());
  CHECK(all.size() == 100);
  CHECK(all.begin()->size() == api_key_bytes);
}

TEST_CASE("API key: its claims are its own and what is configured besides", "[keys]") {
  auto plain = make("shop", {"orders:write", "orders:read"});
  auto more = make("Ada \"x\"");
  more.entry.claims = waggle::wire::json_to_msgpack(R"({"tenant":"acme","n":{"a":[1]}})").value();
  const api_key_set keys{{plain.entry, more.entry}};
  CHECK(shown(keys, plain.text) == R"({"sub":"key:)" + plain.entry.id + R"(","name":"shop","scope":"orders:write orders:read"})");
  CHECK(shown(keys, more.text) == R"({"sub":"key:)" + more.entry.id + R"(","name":"Ada \"x\"","scope":"","tenant":"acme","n":{"a":[1]}})");
  const auto who = keys.find(plain.text, now).value();
  CHECK((who->key_id == plain.entry.id && who->subject == "key:" + plain.entry.id));
  CHECK((who->has_scope("orders:read") && who->has_scope("orders:write") && !who->has_scope("orders") && !who->has_scope("")));
}

TEST_CASE("API key: what is not one, is another's, is revoked or has expired is refused", "[keys]") {
  auto good = make("good"), revoked = make("revoked"), expires = make("expires");
  revoked.entry.revoked = now - 1h;
  expires.entry.expires = now + 1s;
  const api_key_set keys{{good.entry, revoked.entry, expires.entry}};
  const auto secret_of = [](const made& of) { return of.text.substr(13); };
  CHECK(shown(keys, "wgl_" + good.entry.id + "_" + secret_of(revoked)) == "the API key is not known");
  CHECK(shown(keys, make("stranger").text) == "the API key is not known");
  CHECK(shown(keys, revoked.text) == "the API key is revoked");
  CHECK(shown(keys, "wgl_" + revoked.entry.id + "_" + secret_of(good)) == "the API key is not known");
  CHECK(shown(keys, expires.text, now).starts_with("{"));
  CHECK(shown(keys, expires.text, now + 1s) == "the API key has expired");
  auto upper = good.text;
  upper[20] = static_cast<char>(upper[20] & 0xdf);
  for (const auto& each : {std::string{}, std::string{"wgl_"}, good.text + "a", good.text.substr(1), " " + good.text, good.text.substr(0, good.text.size() - 1), std::string(api_key_bytes, 'a'),
                           "wgl_" + std::string(1, '\0') + good.text.substr(5), upper == good.text ? std::string{} : upper})
    CHECK(shown(keys, each) == "the API key is malformed");
}

TEST_CASE("API keys: a file says what is wrong with it, line by line, and never has a key in it", "[keys]") {
  const auto key = make("shop", {"a"});
  auto full = key.entry;
  full.expires = now + 24h;
  full.revoked = now;
  full.claims = waggle::wire::json_to_msgpack(R"({"tenant":"acme"})").value();
  const auto line = written(full);
  CHECK(line.find(key.text.substr(13)) == std::string::npos);
  const auto again = read_api_keys("# text\n\n" + line + "\r\n").value();
  REQUIRE(again.size() == 1);
  CHECK(written(again[0]) == line);
  CHECK((again[0].created == now && again[0].expires == now + 24h && again[0].revoked == now && again[0].hash == full.hash));
  const auto with = [&](const std::string& members) {
    return wrong_with(R"({"id":"abcdefgh","name":"n","hash":")" + std::string(64, 'a') + '"' + (members.empty() ? "" : "," + members) + "}");
  };
  CHECK(with("") == "accepted");
  CHECK(with(R"("scopes":"a")") == "1: scopes is no list of up to 64 scopes; write one, as in [\"orders:read\"]");
  CHECK(with(R"("scopes":["a b"])") == "1: scopes is no list of up to 64 scopes; write one, as in [\"orders:read\"]");
  CHECK(with(R"("expires":"tomorrow")") == "1: expires is no time; write one, as in 2026-01-31T12:00:00Z");
  CHECK(with(R"("expires":7)") == "1: expires is no text; have `waggle keys` write it");
  CHECK(with(R"("claims":{"sub":"root"})") == "1: the claim sub is the key's own; write another name");
  CHECK(with(R"("claims":[])") == "1: claims is no object; write one, as in {\"tenant\":\"acme\"}");
  CHECK(with(R"("claims":{"x":")" + std::string(7000, 'x') + "\"}") == "1: its claims are larger than 6 KiB; write less");
  CHECK(with(R"("revokd":"2026-01-01T00:00:00Z")") == "1: the key \"revokd\" is not known; a line has id, name, hash, scopes, created, expires, revoked and claims");
  CHECK(with(R"("id":"abcdefgh")").starts_with("1: this is not JSON: "));
  CHECK(wrong_with("\n{}") == "2: it has no hash; have `waggle keys` write it");
  CHECK(wrong_with(R"({"id":"ABCDEFGH"})") == "1: the id is not 8 letters of a to z and 2 to 7; have `waggle keys` write it");
  CHECK(wrong_with(R"({"hash":"xyz"})") == "1: the hash is not 64 hexadecimal digits; have `waggle keys` write it");
  CHECK(wrong_with(R"({"name":"a\nb"})") == "1: the name is not 1 to 128 bytes of text; write whose key it is");
  CHECK(wrong_with(line + "\n" + line) == "2: the id \"" + key.entry.id + "\" stands here twice; remove one");
}

TEST_CASE("API keys: a file is changed as a whole, by one at a time, and only its owner can read it", "[keys]") {
  const key_folder folder;
  const auto path = (folder.path / "keys.jsonl").string();
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < 4; ++n) {
        const auto changed = change_key_file(path, [](std::vector<api_key>& keys) { return keys.push_back(make("x").entry), std::string{}; });
        if (!changed) std::terminate();
      }
    });
  }
  for (auto& each : writers) each.join();
  CHECK(read_key_file(path)->size() == 32);
  struct stat of{};
  REQUIRE(::stat(path.c_str(), &of) == 0);
  CHECK((of.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
  // What would make it faulty, or is refused, leaves it as it was.
  const auto before = folder.read("keys.jsonl");
  CHECK_FALSE(change_key_file(path, [](std::vector<api_key>& keys) { return keys.push_back(keys.front()), std::string{}; }));
  CHECK(change_key_file(path, [](std::vector<api_key>&) { return std::string{"no"}; }).error().why == "no");
  CHECK(folder.read("keys.jsonl") == before);
  folder.write("bad.jsonl", "{\n");
  CHECK(change_key_file((folder.path / "bad.jsonl").string(), [](std::vector<api_key>&) { return std::string{}; }).error().faulty);
  // A link stays one.
  std::filesystem::create_symlink("keys.jsonl", folder.path / "link");
  CHECK(change_key_file((folder.path / "link").string(), [](std::vector<api_key>& keys) { return keys.clear(), std::string{}; }));
  CHECK(std::filesystem::is_symlink(folder.path / "link"));
  CHECK(read_key_file(path)->empty());
}
