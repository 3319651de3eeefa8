// Whose request it is: what proxies say is believed as far as it is theirs.
#include "gateway/traffic/client_address.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace waggle::gateway;
using waggle::front::header;

namespace {

ip_address ip(std::string_view text) { return parse_ip_address(text).value(); }

ip_network network(std::string_view text) {
  auto why = network_fault::not_one;
  return parse_ip_network(text, why).value();
}

proxies_config behind(std::vector<std::string> networks, proxies_config::header says = proxies_config::header::x_forwarded_for) {
  proxies_config out;
  for (const auto& each : networks) out.networks.push_back(network(each));
  out.says = says;
  return out;
}

std::string client(std::string_view peer, const proxies_config& proxies, std::vector<header> headers) {
  return client_address(ip(peer), proxies, headers).text();
}

std::string by_list(std::string_view value) { return client("127.0.0.1", behind({"127.0.0.1", "10.0.0.0/8"}), {{"x-forwarded-for", value}}); }
std::string by_standard(std::string_view value) {
  return client("127.0.0.1", behind({"127.0.0.1", "10.0.0.0/8"}, proxies_config::header::forwarded), {{"FORWARDED", value}});
}

}  // namespace

TEST_CASE("client address: an address has one form, and an IPv4 address in IPv6 is the IPv4 address", "[traffic]") {
  CHECK(ip("::ffff:192.0.2.1") == ip("192.0.2.1"));
  CHECK(ip("::ffff:c000:201").text() == "192.0.2.1");
  CHECK(ip("2001:DB8:0:0::1").text() == "2001:db8::1");
  for (const auto* each : {"", "1.2.3", "1.2.3.4.5", "01.2.3.256", "1.2.3.4 ", "[::1]", "fe80::1%eth0", ":::", "1.2.3.4:80", "2001:db8:1:2:3:4:5:6:7"}) {
    CAPTURE(each);
    CHECK(!parse_ip_address(each));
  }
  CHECK(!parse_ip_address(std::string_view{"1.2.3.4\0", 8}));
}

TEST_CASE("client address: one subscriber of IPv6 is a /64, of IPv4 an address", "[traffic]") {
  CHECK(ip("2001:db8:1:2::1").subscriber() == ip("2001:db8:1:2:ffff::").subscriber());
  CHECK(ip("2001:db8:1:2::1").subscriber() != ip("2001:db8:1:3::1").subscriber());
  CHECK(ip("192.0.2.1").subscriber() != ip("192.0.2.2").subscriber());
  CHECK(ip("::ffff:192.0.2.1").subscriber() == ip("192.0.2.1").subscriber());
}

TEST_CASE("client address: a network has what its prefix says, of its own family", "[traffic]") {
  CHECK(network("10.0.0.0/8").contains(ip("10.255.0.1")));
  CHECK(!network("10.0.0.0/8").contains(ip("11.0.0.1")));
  CHECK(network("192.0.2.128/25").contains(ip("192.0.2.200")));
  CHECK(!network("192.0.2.128/25").contains(ip("192.0.2.100")));
  CHECK(network("0.0.0.0/0").contains(ip("203.0.113.9")));
  CHECK(!network("0.0.0.0/0").contains(ip("2001:db8::1")));
  CHECK(!network("::/0").contains(ip("203.0.113.9")));
  CHECK(network("2001:db8::/33").contains(ip("2001:db8:7fff::1")));
  CHECK(!network("2001:db8::/33").contains(ip("2001:db8:8000::1")));
  CHECK(network("::1").contains(ip("::1")));
  CHECK(!network("::1").contains(ip("::2")));
  CHECK(network("::ffff:10.0.0.0/104").contains(ip("10.1.1.1")));
  auto why = network_fault::not_one;
  for (const auto* each : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "/8", "::/129", "::ffff:10.0.0.0/8", "10/8", "a.example"}) {
    CAPTURE(each);
    CHECK(!parse_ip_network(each, why));
    CHECK(why == network_fault::not_one);
  }
  CHECK(!parse_ip_network("10.1.2.3/8", why));
  CHECK(why == network_fault::host_bits);
}

TEST_CASE("client address: who is no proxy says nothing about others", "[traffic]") {
  CHECK(client("203.0.113.7", behind({"127.0.0.1"}), {{"x-forwarded-for", "192.0.2.1"}, {"forwarded", "for=192.0.2.1"}}) == "203.0.113.7");
  CHECK(client("127.0.0.1", {}, {{"x-forwarded-for", "192.0.2.1"}}) == "127.0.0.1");
}

TEST_CASE("client address: the list of a proxy is read from its end, past proxies, and what a client made up stands before that", "[traffic]") {
  CHECK(by_list("192.0.2.1") == "192.0.2.1");
  CHECK(by_list("6.6.6.6, 192.0.2.1") == "192.0.2.1");
  CHECK(by_list("6.6.6.6, 192.0.2.1, 10.1.2.3") == "192.0.2.1");
  CHECK(by_list("10.9.9.9,10.1.2.3") == "10.9.9.9");
  CHECK(by_list("") == "127.0.0.1");
  CHECK(by_list(" ,, 192.0.2.1 ,") == "192.0.2.1");
  CHECK(by_list("192.0.2.1:4711") == "192.0.2.1");
  CHECK(by_list("2001:db8::7") == "2001:db8::7");
  CHECK(by_list("[2001:db8::7]:4711") == "2001:db8::7");
  CHECK(by_list("\"6.6.6.6, 192.0.2.1") == "192.0.2.1");
  CHECK(client("127.0.0.1", behind({"127.0.0.1"}), {{"X-Forwarded-For", "6.6.6.6"}, {"x-forwarded-for", "192.0.2.1"}}) == "192.0.2.1");
}

TEST_CASE("client address: where no address stands it is that of the proxy that wrote so", "[traffic]") {
  for (const auto* each : {"unknown", "192.0.2.1, unknown", "192.0.2.300", "a.example", "[2001:db8::7", "[192.0.2.1]", "192.0.2.1:", "192.0.2.1:x", "[::1]x", "192.0.2.1 6.6.6.6"}) {
    CAPTURE(each);
    CHECK(by_list(each) == "127.0.0.1");
  }
  CHECK(by_list("192.0.2.1, unknown, 10.1.2.3") == "10.1.2.3");
}

TEST_CASE("client address: Forwarded is read as RFC 7239 has it", "[traffic]") {
  CHECK(by_standard("for=192.0.2.60;proto=http;by=203.0.113.43") == "192.0.2.60");
  CHECK(by_standard("For=\"[2001:db8:cafe::17]:4711\"") == "2001:db8:cafe::17");
  CHECK(by_standard("for=192.0.2.43, for=198.51.100.17") == "198.51.100.17");
  CHECK(by_standard("for=192.0.2.43, for=198.51.100.17;by=10.0.0.1, for=10.0.0.9") == "198.51.100.17");
  CHECK(by_standard("proto=https; for=\"192.0.2.1:80\"") == "192.0.2.1");
  CHECK(by_standard("for=\"192.0.2.\\1\"") == "192.0.2.1");
  CHECK(by_standard("for=\"6.6.6.6, for=192.0.2.1") == "192.0.2.1");  // a client's quote that is left open
  for (const auto* each : {"for=unknown", "for=_hidden", "for=\"_SEVKISEK\"", "by=192.0.2.1", "for=192.0.2.1;for=192.0.2.2", "for", "for=", "for=[2001:db8::1]",
                           "for=\"192.0.2.1", "for=\"192.0.2.1\"x", "for =192.0.2.1", "192.0.2.1"}) {
    CAPTURE(each);
    CHECK(by_standard(each) == "127.0.0.1");
  }
}

TEST_CASE("client address: the header that the proxies do not write is the client's, and not looked at", "[traffic]") {
  const std::vector<header> both{{"x-forwarded-for", "192.0.2.1"}, {"forwarded", "for=192.0.2.2"}};
  CHECK(client("127.0.0.1", behind({"127.0.0.1"}), both) == "192.0.2.1");
  CHECK(client("127.0.0.1", behind({"127.0.0.1"}, proxies_config::header::forwarded), both) == "192.0.2.2");
  CHECK(client("127.0.0.1", behind({"127.0.0.1"}), {{"forwarded", "for=192.0.2.2"}}) == "127.0.0.1");
}

TEST_CASE("client address: no more hops are looked at than may be", "[traffic]") {
  std::string list = "192.0.2.1";
  for (std::size_t i = 0; i < forwarded_hops_max; ++i) list += ", 10.0.0." + std::to_string(i + 1);
  CHECK(by_list(list) == "10.0.0.1");
}
