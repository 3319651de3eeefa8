// What files of routes say of TLS, with certificates in real files.
#include <sys/stat.h>

#include <string>

#include "gateway/front/tls_context.hpp"
#include "support/certificate_fixture.hpp"
#include "support/config_fixture.hpp"

using namespace waggle::gateway;
using namespace waggle::gateway::test;
using waggle::front::client_certificates;

TEST_CASE("config: tls names certificates beside its file, and what clients have to show", "[routes][tls]") {
  const certificate_folder here;
  const auto all = here.read(
      "tls:\n  certificates:\n    - {certificate: own.pem, key: own.key}\n    - {certificate: " + here.at("own.pem") +
      ", key: own.key}\n  client_certificates: required\n  client_ca: ca.pem\n  minimum: 1.3\n  redirect: true\n");
  REQUIRE(all);
  REQUIRE(all->tls);
  CHECK(all->tls->settings.identities == std::vector{tls_fixture::server().pem(), tls_fixture::server().pem()});
  CHECK(all->tls->settings.clients == client_certificates::required);
  CHECK(all->tls->settings.client_ca == tls_fixture::authority().certificate_pem());
  CHECK(all->tls->settings.only_version_13);
  CHECK(all->tls->redirect);
  CHECK(all->tls->warnings.empty());
  CHECK(all->files == std::vector{here.at("ca.pem"), here.at("own.pem"), here.at("own.key"), here.at("own.pem"), here.at("own.key")});

  const auto least = here.read("tls: {minimum: \"1.2\"}\n");
  REQUIRE(least);
  CHECK(least->tls->settings == waggle::front::tls_settings{});
  CHECK_FALSE(here.read("routes: []\n")->tls);
}

TEST_CASE("config: what is wrong with tls is told with its line", "[routes][tls]") {
  const certificate_folder here;
  const auto certificates = [](const std::string& one) { return "tls:\n  certificates:\n    - " + one + "\n"; };
  for (const auto& [text, said] : std::vector<row>{
           {"tls: on\n", "r.yaml:1: tls is no map; write tls: {certificates: [{certificate: chain.pem, key: key.pem}]}"},
           {"tls: {certificate: x}\n", "r.yaml:1: the key \"certificate\" is not known; did you mean \"certificates\"?"},
           {"tls: {certificates: own.pem}\n", "r.yaml:1: certificates is no list of them; write tls: {certificates: [{certificate: chain.pem, key: key.pem}]}"},
           {certificates("own.pem"), "r.yaml:3: a certificate is no map; write tls: {certificates: [{certificate: chain.pem, key: key.pem}]}"},
           {certificates("{certificate: own.pem}"), "r.yaml:3: a certificate has no key; write {certificate: chain.pem, key: key.pem}"},
           {certificates("{certificate: none.pem, key: own.key}"), "r.yaml:3: the certificate \"none.pem\" cannot be read; write the path of one that can"},
           {certificates("certificate: own.pem\n      key: none.key"), "r.yaml:3: the key \"none.key\" cannot be read; write the path of one that can"},
           {certificates("{certificate: empty.pem, key: own.key}"),
            "r.yaml:3: the certificate \"empty.pem\" is empty or larger than 256 KiB; write the path of one in PEM"},
           {certificates("certificate: own.key\n      key: own.key"),
            "r.yaml:3: \"own.key\": this is no certificate in PEM; write the server's own one, and behind it those that lead to the authority"},
           {certificates("certificate: ca.pem\n      key: own.key"),
            "r.yaml:4: \"own.key\": the key is not that of the certificate of CN=tests,O=Waggle tests; write the two that belong together"},
           {certificates("certificate: own.pem\n      key: encrypted.key"),
            "r.yaml:4: \"encrypted.key\": the key is encrypted, and nobody is there to type its passphrase; write it without one, as with openssl pkey "
            "-in OLD -out NEW"},
           {"tls: {minimum: 1.1}\n", "r.yaml:1: \"1.1\" is no version of TLS that is spoken here; write \"1.2\" or \"1.3\""},
           {"tls: {client_certificates: always}\n", "r.yaml:1: \"always\" is not known of client_certificates; write none, optional or required"},
           {"tls: {client_certificates: required}\n",
            "r.yaml:1: certificates of clients are asked for, and no client_ca says who signs them; write client_ca: clients.pem"},
           {"tls: {client_ca: ca.pem}\n",
            "r.yaml:1: client_ca is of no use without client_certificates; write client_certificates: optional, or required"},
           {"tls: {client_certificates: optional, client_ca: none.pem}\n", "r.yaml:1: the client_ca \"none.pem\" cannot be read; write the path of one that can"},
           {"tls: {redirect: yes}\n", "r.yaml:1: redirect is neither true nor false; write redirect: true"},
           {certificates("{certificate: own.pem, key: own.key}") + "  client_certificates: optional\n  client_ca: own.key\n",
            "r.yaml:2: client_ca: this is no certificate in PEM; write that of the authority that signs those of clients"},
       }) {
    CAPTURE(text);
    CHECK(here.errors_of(text) == said);
  }
}

TEST_CASE("config: a key that everybody may read is a warning", "[routes][tls]") {
  certificate_folder here;
  ::chmod(here.at("own.key").c_str(), 0644);
  const auto out = here.read("tls: {certificates: [{certificate: own.pem, key: own.key}]}\n");
  REQUIRE(out);
  CHECK(out->tls->warnings ==
        std::vector<std::string>{"the key \"" + here.at("own.key") + "\" can be read by everybody on this machine; take that away, as with chmod o-r"});
}
