// The flags of service::run, in a program that is linked without waggle::hybrid.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include <waggle/service.hpp>

#include "support/catch.hpp"

namespace {

using namespace waggle;

/// An exit code and what the flags said; the environment holds nothing of waggle's but what a test sets.
struct reading {
  explicit reading(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "test");
    arguments.push_back(nullptr);
    code = detail::read_run_settings(static_cast<int>(arguments.size()) - 1, const_cast<char**>(arguments.data()), "test", "1", said);
  }
  detail::run_settings said;
  std::optional<int> code;
};

struct variable {
  variable(const char* of, const char* value) : name{of} { ::setenv(name, value, 1); }
  ~variable() { ::unsetenv(name); }
  const char* name;
};

}  // namespace

TEST_CASE("service flags: --http of a program without waggle::hybrid is a mistake, by flag and by environment", "[service]") {
  CHECK(reading{{"--http", "127.0.0.1:0"}}.code == 2);
  const variable http{"WAGGLE_HTTP_SELF", "127.0.0.1:0"};
  CHECK(reading{{}}.code == 2);
}

TEST_CASE("service flags: the gateway's variables mean nothing to a service, but --routes without --http is a mistake", "[service]") {
  CHECK(reading{{"--routes", "x.yaml"}}.code == 2);
  CHECK(reading{{"--listen", "tcp://127.0.0.1:*"}}.code == 2);
  ::unsetenv("WAGGLE_BROKER");
  const variable routes{"WAGGLE_ROUTES", "x.yaml"}, http{"WAGGLE_HTTP", "127.0.0.1:8800"};
  const reading plain{{"--threads", "3"}};
  CHECK(!plain.code);
  CHECK(!plain.said.hybrid);
  CHECK(plain.said.with.threads == 3);
  CHECK(plain.said.with.broker == default_broker);
}

TEST_CASE("service flags: a flag may be given again, and its last value holds while all are known", "[service]") {
  std::vector<detail::service_flag> flags{{"routes", "WAGGLE_TEST_ROUTES", "PATH", "", ""}, {"broker", "WAGGLE_TEST_BROKER", "X", "", "here"}};
  const char* arguments[] = {"test", "--routes", "a", "--routes=b", nullptr};
  CHECK(!detail::read_service_flags(4, const_cast<char**>(arguments), "test", "1", flags));
  CHECK(flags[0].now == "b");
  CHECK(flags[0].given == std::vector<std::string>{"a", "b"});
  CHECK(flags[0].said());
  CHECK(!flags[1].said());
  const variable broker{"WAGGLE_TEST_BROKER", "there"};
  CHECK(flags[1].said());
}

TEST_CASE("service flags: keys come both or not at all, by flag and by environment, and are read before anything begins", "[service][keys]") {
  const auto made = net::make_key_pair(), broker = net::make_key_pair();
  const auto path = (std::filesystem::temp_directory_path() / ("waggle-flags-" + std::to_string(::getpid()) + ".key")).string();
  std::ofstream{path} << key_file_text(made, true);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  CHECK(reading{{"--key-file", path.c_str()}}.code == 2);
  CHECK(reading{{"--broker-key", broker.public_key.c_str()}}.code == 2);
  CHECK(reading{{"--key-file", "nothing-here", "--broker-key", broker.public_key.c_str()}}.code == 2);
  const reading both{{"--key-file", path.c_str(), "--broker-key", broker.public_key.c_str()}};
  CHECK(!both.code);
  CHECK(read_keys(both.said.with.keys).own.public_key == made.public_key);
  const variable own{"WAGGLE_KEY", path.c_str()}, of_broker{"WAGGLE_BROKER_KEY", broker.public_key.c_str()};
  const reading from_environment{{}};
  CHECK(!from_environment.code);
  CHECK(read_keys(from_environment.said.with.keys).broker == broker.public_key);
  std::filesystem::remove(path);
}

TEST_CASE("service flags: a flag without a value is one", "[service]") {
  std::vector<detail::service_flag> flags{{"insecure", "WAGGLE_TEST_INSECURE", nullptr, "", ""}};
  const char* arguments[] = {"test", "--insecure", nullptr};
  CHECK(!detail::read_service_flags(2, const_cast<char**>(arguments), "test", "1", flags));
  CHECK(flags[0].now == "1");
}
