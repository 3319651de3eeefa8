// The file that says who may connect, and where a broker without keys may be.
#include <fstream>
#include <iterator>

#include "broker/peers/loopback.hpp"
#include "broker/peers/peers_config.hpp"
#include "support/catch.hpp"

using namespace std::literals;
using namespace waggle::broker;

namespace {

/// All that is wrong with a text, a line each, or "accepted".
std::string errors_of(const std::string& text) {
  const auto out = parse_peers_config("p.yaml", text);
  if (out) return "accepted";
  std::string all;
  for (const auto& each : out.error()) all += (all.empty() ? "" : "\n") + each;
  return all;
}

const std::string key_a = R"(rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7)", key_b = R"(Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID)";

std::string peer(const std::string& name, const std::string& role, const std::string& key) {
  return "  - { name: " + name + ", role: " + role + ", key: \"" + key + "\" }\n";
}

}  // namespace

TEST_CASE("peers: roles and keys, in whatever order", "[peers]") {
  const auto out = parse_peers_config("p.yaml", "peers:\n" + peer("shop-1", "shop", key_a) + peer("ops", "operator", key_b) + R"(
roles:
  shop: { serve: ["order.*"], call: ["stock.*", "payment.take"], publish: ["order.*"], subscribe: ["payment.*"], groups: ["shop"] }
  operator: { call: ["*", "waggle.*"], claims: true, events_out: "tcp://127.0.0.1:5600" }
  nothing:
)");
  REQUIRE(out.has_value());
  REQUIRE(out->roles.size() == 3);
  CHECK(out->roles[0].may == role{"shop", {"order.*"}, {"stock.*", "payment.take"}, {"order.*"}, {"payment.*"}, {"shop"}, false});
  CHECK(out->roles[1].may.claims);
  CHECK(out->roles[1].events_out == "tcp://127.0.0.1:5600");
  CHECK(out->roles[2].may == role{.name = "nothing"});
  REQUIRE(out->peers.size() == 2);
  CHECK(out->peers[1].name == "ops");
  CHECK(out->peers[1].role == 1);
  CHECK(out->peers[1].key == key_b);
}

TEST_CASE("peers: every mistake is said with its line and what helps", "[peers]") {
  const std::string roles = "roles: { shop: { call: [\"*\"] } }\n";
  CHECK(errors_of("") == "p.yaml:1: the file says nothing; write roles: and peers:");
  CHECK(errors_of("[1]") == "p.yaml:1: this is no map; write roles: and peers:");
  CHECK(errors_of("roles: {a: [") .starts_with("p.yaml:1: this is not YAML ("));
  CHECK(errors_of(roles) == "p.yaml:1: there are no peers; write some, or peers: [] if nobody is to get in");
  CHECK(errors_of("peers: []") == "p.yaml:1: there are no roles; write some, as in roles: { shop: { call: [\"stock.*\"] } }");
  CHECK(errors_of(roles + "peers: []") == "accepted");
  CHECK(errors_of(roles + "peers: []\nusers: []") == "p.yaml:3: the key \"users\" is not known; the file has roles and peers");
  CHECK(errors_of("roles:\n  shop: { may: [] }\npeers: []") ==
        "p.yaml:2: the key \"may\" is not known; a role has serve, call, publish, subscribe, groups, claims and events_out");
  CHECK(errors_of("roles:\n  shop: { call: stock }\npeers: []") == "p.yaml:2: call is no list of patterns; write one, as in call: [\"stock.*\"]");
  CHECK(errors_of("roles:\n  shop:\n    call: [\"a*b\"]\n    serve: [\"waggle.*\"]\n    claims: yes please\n    events_out: 5557\npeers: []") ==
        "p.yaml:3: \"a*b\" is no pattern; write a name, what names begin with and a * behind it, or *; at most 128 bytes\n"
        "p.yaml:4: \"waggle.*\" is of the broker's own names, which can only be called; remove it\n"
        "p.yaml:5: claims is \"yes please\"; write true for those that have verified whom they call for, as the gateway does\n"
        "p.yaml:6: events_out is \"5557\", which is no endpoint; write tcp://HOST:PORT or ipc://PATH");
  CHECK(errors_of("roles:\n  a: { subscribe: [\"x\"], events_out: \"ipc://e\" }\n  b: { subscribe: [\"y\"], events_out: \"ipc://e\" }\npeers: []") ==
        "p.yaml:3: the roles \"a\" and \"b\" see different topics, so they need different endpoints; give one another events_out");
  CHECK(errors_of("roles:\n  shop: {}\n  shop: {}\npeers: []") == "p.yaml:3: the role \"shop\" stands here twice; put what it may do together");
  CHECK(errors_of(roles + "peers:\n" + peer("a", "shop", key_a) + peer("b", "boss", key_b)) ==
        "p.yaml:4: the role \"boss\" is not one of this file, which has shop");
  CHECK(errors_of(roles + "peers:\n" + peer("a", "shop", key_a) + peer("b", "shop", key_a) + peer("a", "shop", key_b)) ==
        "p.yaml:4: the key of \"b\" stands in line 3 too; a key is one peer's: remove one\n"
        "p.yaml:5: the peer \"a\" stands in line 3 too; give this one another name");
  CHECK(errors_of(roles + "peers:\n  - { name: a }\n  - shop") ==
        "p.yaml:3: the peer has no role; a peer has name, role and key\np.yaml:3: the peer has no key; a peer has name, role and key\n"
        "p.yaml:4: this is no peer; write { name: shop-1, role: shop, key: \"…\" }: a peer has name, role and key");
}

TEST_CASE("peers: the files that the documents show are accepted", "[peers]") {
  for (const char* each : {"README.md", "broker/PROTOCOL.md"}) {
    std::ifstream file{std::string{WAGGLE_SOURCE_DIR "/"} + each};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const auto roles = text.find("```yaml\nroles:\n");
    REQUIRE(roles != std::string::npos);
    const auto begin = roles + 8;
    CHECK(errors_of(text.substr(begin, text.find("```", begin) - begin)) == "accepted");
  }
}

TEST_CASE("peers: what stands in the place of a key is not shown, for it may be a secret", "[peers]") {
  const auto said = errors_of("roles: { shop: {} }\npeers:\n" + peer("a", "shop", "0123456789"));
  CHECK(said == "p.yaml:3: the key is no public key; write the 40 characters that `waggle keygen` prints, in \"quotes\"");
}

TEST_CASE("loopback: what only this machine's programs reach is not open", "[peers]") {
  for (const char* each : {"tcp://127.0.0.1:5555", "tcp://127.0.0.1:*", "tcp://127.8.9.1:1", "tcp://[::1]:5555", "tcp://localhost:5555", "ipc:///tmp/x", "inproc://x"}) {
    CHECK_FALSE(is_open(each));
  }
  for (const char* each : {"tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://eth0:5555", "tcp://127.example.org:5555", "tcp://10.0.0.1:*", "tcp://128.0.0.1:1",
                           "tcp://[::ffff:127.0.0.1]:1", "tcp://", "udp://127.0.0.1:5"}) {
    CHECK(is_open(each));
  }
}
