#include "front_fixture.hpp"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace front_fixture;

namespace {

tls_fixture::client_wish only(int version) {
  tls_fixture::client_wish out;
  out.min_version = out.max_version = version;
  return out;
}

/// Whether a client without TLS is told the reason and then let go.
bool is_told_to_use_https(std::uint16_t port, std::string_view bytes) {
  client one(port);
  one.send(bytes);
  const std::string out = one.read_to_end();
  return is(out, 400) && out.find("Connection: close") != std::string::npos && out.find("HTTPS") != std::string::npos;
}

}  // namespace

TEST_CASE("front: TLS 1.2 and 1.3 serve one request after another, and say that they are encrypted", "[front]") {
  toy_server net{1, {}, true};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    client one(net.port(), only(version));
    REQUIRE(one.connected());
    CHECK(SSL_version(one.tls()) == version);
    REQUIRE(one.send(get("/peer")));
    CHECK(one.read_body() == "127.0.0.1 over TLS HTTP/1.1");
    for (int i = 0; i < 100; ++i) {
      REQUIRE(one.send(get(numbered(i))));
      REQUIRE(one.read_body() == numbered(i));
    }
  }
}

TEST_CASE("front: plain HTTP on a TLS port is answered in plain, and told that HTTPS is spoken there", "[front]") {
  toy_server net{1, {}, true};
  CHECK(is_told_to_use_https(net.port(), get("/")));
  CHECK(is_told_to_use_https(net.port(), "G"));
  CHECK(is_told_to_use_https(net.port(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x')));
  client other(net.port());
  other.send("\x01\x02\x03");
  CHECK(other.ended());
  CHECK(net.notes.asked.empty());
}

TEST_CASE("front: plain and TLS listeners stand side by side", "[front]") {
  board notes;
  server_options with;
  with.listen = {{}, {"127.0.0.1", 0, true}};
  with.tls = tls_fixture::context();
  with.threads = 2;
  server front(with, [&](responder& out) { return std::make_unique<toy>(out, notes, -1); });
  front.start();
  const auto port_of = [&](std::size_t i) { return static_cast<std::uint16_t>(std::stoi(front.endpoints()[i].substr(front.endpoints()[i].rfind(':') + 1))); };
  for (int i = 0; i < 8; ++i) {
    client plain(port_of(0)), secure(port_of(1), 0, true);
    REQUIRE(plain.send(get("/peer")));
    REQUIRE(secure.send(get("/peer")));
    CHECK(plain.read_body() == "127.0.0.1 HTTP/1.1");
    CHECK(secure.read_body() == "127.0.0.1 over TLS HTTP/1.1");
  }
}

TEST_CASE("front: an end of TCP that TLS has not announced is the client's going, and abandons what it asked", "[front]") {
  toy_server net{1, {}, true};
  client one(net.port(), 0, true);
  REQUIRE(one.send(get("/wait?1")));
  REQUIRE(net.notes.wait([&] { return net.notes.in_flight == 1; }));
  ::shutdown(one.descriptor(), SHUT_WR);
  CHECK(net.notes.wait([&] { return net.notes.abandoned == 1; }));
  CHECK(one.read_to_end().empty());
  CHECK_FALSE(one.was_ended_properly());
}

TEST_CASE("front: a whole answer ends with TLS's own end, an aborted one without", "[front]") {
  toy_server net{1, {}, true};
  const auto ends = [&](const std::string& request) {
    client one(net.port(), 0, true);
    one.send(request);
    const auto out = one.read_to_end();
    return !out.empty() && one.was_ended_properly();
  };
  CHECK(ends(get("/", "Connection: close\r\n")));
  CHECK(ends("GET /pour/1000000 HTTP/1.0\r\n\r\n"));
  CHECK(ends("nonsense\r\n\r\n"));
  CHECK_FALSE(ends(get("/break")));
  CHECK_FALSE(ends("GET /break HTTP/1.0\r\n\r\n"));
  // One that ends with nothing more to write.
  client one(net.port(), 0, true);
  REQUIRE(one.send("GET /open HTTP/1.0\r\n\r\n"));
  one.read_until("open");
  client other(net.port(), 0, true);
  REQUIRE(other.send(get("/shut")));
  CHECK(other.read_body() == "shut");
  CHECK(one.read_to_end().empty());
  CHECK(one.was_ended_properly());
}

TEST_CASE("front: an idle client of TLS is let go with TLS's own end", "[front]") {
  limits bounds;
  bounds.idle_time = 30ms;
  toy_server net{1, bounds, true};
  client idle(net.port(), 0, true);
  REQUIRE(idle.connected());
  CHECK(idle.ended());
  CHECK(idle.was_ended_properly());
}

TEST_CASE("front: a handshake that takes too long is given up, however it is begun, and others are served meanwhile", "[front]") {
  limits bounds;
  bounds.handshake_time = 100ms;
  toy_server net{1, bounds, true};
  std::vector<client> silent;
  for (int i = 0; i < 300; ++i) {
    silent.emplace_back(net.port());
    if (i % 2 == 0) silent.back().send(std::string_view{"\x16\x03\x01\x02\x00\x01\x00", 7});  // the beginning of a ClientHello
  }
  client other(net.port(), 0, true);
  REQUIRE(other.send(get("/other")));
  CHECK(other.read_body() == "/other");
  for (auto& each : silent) CHECK(each.ended());
  REQUIRE(other.send(get("/again")));
  CHECK(other.read_body() == "/again");
}

TEST_CASE("front: past the most handshakes new clients of TLS are turned away, and taken again once there are fewer", "[front]") {
  limits bounds;
  bounds.handshakes_max = 4;
  toy_server net{1, bounds, true};
  client early(net.port(), 0, true);
  REQUIRE(early.connected());
  REQUIRE(early.send(get("/")));
  REQUIRE(early.read_body() == "/");
  std::vector<client> silent;
  for (int i = 0; i < 4; ++i) silent.emplace_back(net.port());
  client refused(net.port());
  CHECK(refused.ended());
  REQUIRE(early.send(get("/still")));
  CHECK(early.read_body() == "/still");
  CHECK(net.notes.wait([&] { return net.lines.size() == 1; }));
  silent.pop_back();
  const auto until = std::chrono::steady_clock::now() + patience;
  bool taken = false;
  while (!taken && std::chrono::steady_clock::now() < until) taken = client(net.port(), 0, true).connected();
  CHECK(taken);
}

TEST_CASE("front: a rush of handshakes does not keep a client that is there from its answers", "[front]") {
  toy_server net{1, {}, true};
  client steady(net.port(), 0, true), holder(net.port(), 0, true);
  REQUIRE(steady.send(get("/before")));
  REQUIRE(steady.read_body() == "/before");
  const auto context = tls_fixture::client_context();
  const auto session = tls_fixture::client_session(context.get());
  const tls_fixture::bio_ptr hello{BIO_new(BIO_s_mem())};
  BIO_up_ref(hello.get());
  SSL_set_bio(session.get(), BIO_new(BIO_s_null()), hello.get());
  SSL_do_handshake(session.get());
  std::vector<client> rush;
  for (int i = 0; i < 500; ++i) rush.emplace_back(net.port());
  // All of it is there when the thread looks again, and the client that is there comes last.
  REQUIRE(holder.send(get("/hold")));
  REQUIRE(net.notes.wait([&] { return net.notes.holding; }));
  for (auto& each : rush) REQUIRE(each.send(tls_fixture::taken(hello)));
  REQUIRE(steady.send(get("/steady")));
  const auto from = std::chrono::steady_clock::now();
  net.notes.change([&] { net.notes.let_go = true; });
  CHECK(steady.read_body() == "/steady");
  const auto answered = std::chrono::steady_clock::now() - from;
  for (auto& each : rush) REQUIRE(each.wait(POLLIN));
  CHECK(answered < (std::chrono::steady_clock::now() - from) / 2);
}

TEST_CASE("front: clients say who they are where it is asked for, and only those whom the authority has signed", "[front]") {
  const auto ada = tls_fixture::issue(&tls_fixture::authority(), "ada", "email:ada@example.org,URI:urn:ada,DNS:ada.example");
  const auto stranger = tls_fixture::issue(nullptr, "stranger", "");
  auto settings = tls_fixture::settings();
  settings.client_ca = tls_fixture::authority().certificate_pem();
  settings.clients = GENERATE(client_certificates::optional, client_certificates::required);
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CAPTURE(settings.clients, version);
  toy_server net{1, {}, true};
  net.front.use(tls_fixture::context(settings));
  const auto asks = [&](const tls_fixture::identity* as) {
    auto how = only(version);
    how.as = as;
    client one(net.port(), how);
    one.send(get("/peer"));
    return one.read_body();
  };
  CHECK(asks(&ada) == "127.0.0.1 over TLS HTTP/1.1 CN=ada,O=Waggle tests");
  CHECK(asks(&stranger).empty());
  CHECK(asks(nullptr) == (settings.clients == client_certificates::optional ? "127.0.0.1 over TLS HTTP/1.1" : ""));
}

TEST_CASE("front: the log says why a handshake failed, and not of each", "[front]") {
  toy_server net{1, {}, true};
  auto stranger = only(TLS1_3_VERSION);
  const auto unknown = tls_fixture::issue(nullptr, "unknown", "");
  stranger.trusts = &unknown;
  for (int i = 0; i < 5; ++i) CHECK_FALSE(client(net.port(), stranger).connected());
  client old(net.port(), only(TLS1_1_VERSION));
  CHECK_FALSE(old.connected());
  CHECK(old.ended());
  CHECK(net.notes.wait([&] { return !net.lines.empty(); }));
  CHECK(net.lines == std::vector<std::string>{"TLS handshakes that failed: 1, the last of 127.0.0.1 (tlsv1 alert unknown ca)"});
}

TEST_CASE("front: new connections get the new certificate, and those that are there go on", "[front]") {
  const auto name_of = [](const client& of) {
    char out[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(of.tls())), NID_commonName, out, sizeof out);
    return std::string(out);
  };
  toy_server net{2, {}, true};
  client before(net.port(), 0, true);
  REQUIRE(before.connected());
  CHECK(name_of(before) == "localhost");
  const auto other = tls_fixture::issue(&tls_fixture::authority(), "renewed", "DNS:localhost");
  auto settings = tls_fixture::settings();
  settings.identities = {other.pem()};
  net.front.use(tls_fixture::context(settings));
  client after(net.port(), 0, true);
  REQUIRE(after.connected());
  CHECK(name_of(after) == "renewed");
  for (auto* each : {&before, &after}) {
    REQUIRE(each->send(get("/")));
    CHECK(each->read_body() == "/");
  }
}

TEST_CASE("front: a session is resumed by whichever thread", "[front]") {
  toy_server net{3, {}, true};
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CAPTURE(version);
  client first(net.port(), only(version));
  REQUIRE(first.send(get("/")));
  REQUIRE(first.read_body() == "/");  // TLS 1.3 gives its tickets after the handshake
  using session_ptr = std::unique_ptr<SSL_SESSION, tls_fixture::freed_by<SSL_SESSION_free>>;
  const auto context = tls_fixture::client_context(only(version));
  for (int i = 0; i < 12; ++i) {
    client wire(net.port());
    const auto session = tls_fixture::client_session(context.get(), only(version));
    const session_ptr known{SSL_SESSION_dup(SSL_get0_session(first.tls()))};
    SSL_set_session(session.get(), known.get());
    SSL_set_fd(session.get(), wire.descriptor());
    REQUIRE(SSL_connect(session.get()) == 1);
    CHECK(SSL_session_reused(session.get()) == 1);
  }
}
