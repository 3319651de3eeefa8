// Certificates of flags and of the configuration, as the gateway's process takes them.
#include "gateway/live_tls.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/certificate_fixture.hpp"

using namespace waggle::gateway;
using namespace waggle::gateway::test;

namespace {

struct live_tls_fixture {
  [[nodiscard]] live_tls of(tls_flags flags, bool is_served = true) {
    return {std::move(flags), is_served, [this](std::string_view line) { said.emplace_back(line); }};
  }
  [[nodiscard]] tls_flags flags() const { return {here.at("own.pem"), here.at("own.key")}; }
  [[nodiscard]] config configured(const std::string& more = "") const {
    return here.read("tls: {certificates: [{certificate: other.pem, key: other.key}]" + more + "}\n").value();
  }
  void make_other(int days = 2) {
    const auto made = tls_fixture::issue(&tls_fixture::authority(), "other", "DNS:other", days);
    here.write("other.pem", made.certificate_pem());
    here.write("other.key", made.key_pem());
  }

  certificate_folder here;
  std::vector<std::string> said;
};

}  // namespace

TEST_CASE("live tls: a certificate of flags stands in the place of the configuration's, whose other settings stay", "[tls]") {
  live_tls_fixture at;
  at.make_other();
  auto flagged = at.of(at.flags()), plain = at.of({}), silent = at.of({}, false);
  CHECK(flagged.make(at.configured()).value()->certificates().front().subject == "CN=localhost,O=Waggle tests");
  CHECK(flagged.make({}).value()->certificates().size() == 1);
  CHECK(plain.make(at.configured()).value()->certificates().front().subject == "CN=other,O=Waggle tests");
  CHECK(plain.make({}).error() ==
        std::vector<std::string>{"--https has no certificate; name one with --certificate and --certificate-key, or with tls: in the routes"});
  CHECK(silent.make({}).value() == nullptr);
}

TEST_CASE("live tls: a context is made anew when its files say something else, and only then", "[tls]") {
  live_tls_fixture at;
  auto live = at.of(at.flags());
  const auto first = live.make({}).value();
  CHECK(live.make({}).value() == first);
  at.make_other();
  CHECK(live.make(at.configured()).value() == first);
  CHECK(live.make(at.configured(", minimum: 1.3")).value() != first);
  const auto shown = at.said.size();
  at.here.write("own.pem", "nonsense");
  CHECK(live.make({}).error().at(0).find("own.pem\": this is no certificate in PEM") != std::string::npos);
  at.here.write("own.key", "");
  CHECK(live.make({}).error().at(0).find("--certificate: the key \"") == 0);
  CHECK(at.said.size() == shown);
}

TEST_CASE("live tls: the log says what is shown and until when, and warns of what clients or owners should not find", "[tls]") {
  live_tls_fixture at;
  at.make_other(0);
  ::chmod(at.here.at("other.key").c_str(), 0644);
  auto live = at.of({});
  REQUIRE(live.make(at.configured()));
  REQUIRE(at.said.size() == 3);
  CHECK(at.said[0].find("other.key\" can be read by everybody") != std::string::npos);
  CHECK(at.said[1].find("shows CN=other,O=Waggle tests for other until 2") == 0);
  CHECK(at.said[2] == "the certificate of CN=other,O=Waggle tests has expired, and clients refuse it; get a new one");
}
