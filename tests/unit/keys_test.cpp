// Key files.
#include <sys/stat.h>

#include <concepts>
#include <filesystem>
#include <fstream>

#include <waggle/keys.hpp>

#include "support/catch.hpp"

using namespace waggle;

namespace {

struct folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("waggle-keys-" + std::to_string(::getpid()));
  folder() { std::filesystem::create_directories(path); }
  ~folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
    const auto out = (path / name).string();
    std::ofstream{out} << text;
    ::chmod(out.c_str(), mode);
    return out;
  }
};

/// What reading a pair throws.
std::string complaint_of(const std::string& path) {
  try {
    static_cast<void>(read_key_pair(path));
  } catch (const key_error& e) {
    return e.what();
  }
  return "nothing";
}

/// What any other call throws.
template <class Call>
  requires std::invocable<Call>
std::string complaint_of(Call call) {
  try {
    static_cast<void>(call());
  } catch (const key_error& e) {
    return e.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("keys: what is written is read, and a public key is as good as its file", "[keys]") {
  const folder in;
  const auto made = net::make_key_pair();
  const auto both = in.write("a.key", key_file_text(made, true)), only_public = in.write("a.pub", key_file_text(made, false), 0644);
  CHECK(read_key_pair(both).public_key == made.public_key);
  CHECK(read_key_pair(both).secret_key == made.secret_key);
  for (const auto& each : {both, only_public, made.public_key}) CHECK(read_public_key(each) == made.public_key);
  CHECK(key_file_text(made, false).find(made.secret_key) == std::string::npos);
}

TEST_CASE("keys: a file as CZMQ and pyzmq write it is read", "[keys]") {
  const folder in;
  const auto made = net::make_key_pair();
  const auto path = in.write("z.key_secret", "#   ****  Generated ****\n#   not public-key = \"x\"\nmetadata\n    name = \"z\"\ncurve\n    public-key = \"" + made.public_key +
                                                 "\"\r\n    secret-key = \"" + made.secret_key + "\"\n");
  CHECK(read_key_pair(path).public_key == made.public_key);
}

TEST_CASE("keys: what is wrong with a file is said with what helps, and without the secret", "[keys]") {
  const folder in;
  const auto made = net::make_key_pair(), other = net::make_key_pair();
  CHECK(complaint_of((in.path / "none.key").string()).find("cannot be read (No such file or directory); `waggle keygen NAME` makes one") !=
        std::string::npos);
  CHECK(complaint_of(in.write("a.pub", key_file_text(made, false))).find("ends in .key, not the .pub") != std::string::npos);
  CHECK(complaint_of(in.write("b.key", "secret-key = \"short\"")).find("40 characters of Z85") != std::string::npos);
  const auto mixed = in.write("c.key", key_file_text({other.public_key, made.secret_key}, true));
  CHECK(complaint_of(mixed) == mixed + ": the public-key is not that of the secret-key; use the file as it was made");
  const auto shown = in.write("d.key", key_file_text(made, true), 0644);
  CHECK(complaint_of(shown).find("everybody on this machine can read the secret key; chmod 600 it") != std::string::npos);
  CHECK(complaint_of(in.write("e.key", key_file_text(made, true), 0640)) == "nothing");
  CHECK(complaint_of([&] { return read_public_key("nothing-here"); }).find("nothing-here: the key file cannot be read") != std::string::npos);
  CHECK(complaint_of([&] { return read_public_key(in.write("f.pub", "hello")); }).find("there is no public-key") != std::string::npos);
}

TEST_CASE("keys: one's own pair and the broker's key are wanted both or not at all", "[keys]") {
  const folder in;
  const auto made = net::make_key_pair(), broker = net::make_key_pair();
  const auto path = in.write("a.key", key_file_text(made, true));
  CHECK(read_keys({"", ""}).empty());
  CHECK(complaint_of([&] { return read_keys({path, ""}); }).find("--broker-key or WAGGLE_BROKER_KEY") != std::string::npos);
  CHECK(complaint_of([&] { return read_keys({"", broker.public_key}); }).find("--key-file or WAGGLE_KEY") != std::string::npos);
  const auto keys = read_keys({path, broker.public_key});
  CHECK(keys.own.secret_key == made.secret_key);
  CHECK(keys.broker == broker.public_key);
}

TEST_CASE("keys: a key is 40 characters of Z85", "[keys]") {
  const auto made = net::make_key_pair();
  CHECK(net::is_key(made.public_key));
  CHECK(net::public_key_of(made.secret_key) == made.public_key);
  CHECK(net::public_key_of("no key").empty());
  CHECK_FALSE(net::is_key(made.public_key + "0"));
  CHECK_FALSE(net::is_key(std::string(39, '0') + '"'));
}
