#include "gateway/routes/config_tls.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

constexpr const char* example = "tls: {certificates: [{certificate: chain.pem, key: key.pem}]}";

tl::expected<std::string, std::string> read_pem(const std::string& what, const std::string& path) {
  auto out = file_text(path, pem_bytes_max);
  if (!out) return tl::unexpected{"the " + what + " " + in_quotes(path) + " cannot be read; write the path of one that can"};
  if (out->empty() || out->size() > pem_bytes_max) {
    return tl::unexpected{"the " + what + " " + in_quotes(path) + " is empty or larger than 256 KiB; write the path of one in PEM"};
  }
  return std::move(*out);
}

bool is_readable_by_all(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && (found.st_mode & S_IROTH) != 0;
}

}  // namespace

tl::expected<front::tls_identity, std::string> read_identity(const std::string& certificate, const std::string& key,
                                                             std::vector<std::string>& warnings) {
  auto chain = read_pem("certificate", certificate);
  if (!chain) return tl::unexpected{std::move(chain.error())};
  auto secret = read_pem("key", key);
  if (!secret) return tl::unexpected{std::move(secret.error())};
  if (is_readable_by_all(key)) warnings.push_back("the key " + in_quotes(key) + " can be read by everybody on this machine; take that away, as with chmod o-r");
  return front::tls_identity{std::move(*chain), std::move(*secret)};
}

std::string described(const front::tls_fault& fault, const std::string& certificate, const std::string& key) {
  return in_quotes(fault.of == front::tls_fault::part::key ? key : certificate) + ": " + fault.what;
}

/// A path of a file of routes that is not absolute begins where that file is.
std::string config_reader::path_beside(const std::string& path) const {
  return (std::filesystem::path{name_}.parent_path() / path).string();
}

void config_reader::read_tls(const entry& at) {
  if (!at.value.IsMap()) return wrong(at.line, std::string{"tls is no map; write "} + example);
  if (!is_first(at, "tls")) return;
  const auto known = entries(at.value, "tls", keys::tls);
  const auto errors_before = errors_.size();
  tls_config out;
  out.place = setting_places_.at("tls");
  if (const auto* least = text(known, "minimum", "\"1.2\"")) {
    out.settings.only_version_13 = *least == "1.3";
    if (*least != "1.2" && *least != "1.3")
      wrong(known.at("minimum").line, in_quotes(least->substr(0, 64)) + " is no version of TLS that is spoken here; write \"1.2\" or \"1.3\"");
  }
  if (const auto* clients = text(known, "client_certificates", "optional")) {
    const auto which = std::find(keys::client_certificates.begin(), keys::client_certificates.end(), *clients);
    if (which == keys::client_certificates.end()) {
      wrong(known.at("client_certificates").line, in_quotes(clients->substr(0, 64)) + " is not known of client_certificates; write " +
                                                      listed(keys::client_certificates, " or "));
    } else {
      out.settings.clients = static_cast<front::client_certificates>(which - keys::client_certificates.begin());
    }
  }
  if (const auto* authority = text(known, "client_ca", "clients.pem")) {
    const auto path = path_beside(*authority);
    out_.files.push_back(path);
    if (auto pem = read_pem("client_ca", path)) {
      out.settings.client_ca = std::move(*pem);
    } else {
      wrong(known.at("client_ca").line, pem.error());
    }
    if (out.settings.clients == front::client_certificates::off && errors_.size() == errors_before)
      wrong(known.at("client_ca").line, "client_ca is of no use without client_certificates; write client_certificates: optional, or required");
  } else if (out.settings.clients != front::client_certificates::off && !known.contains("client_ca")) {
    wrong(known.at("client_certificates").line, "certificates of clients are asked for, and no client_ca says who signs them; write client_ca: clients.pem");
  }
  if (const auto redirect = known.find("redirect"); redirect != known.end()) {
    const std::string said = redirect->second.value.IsScalar() ? redirect->second.value.Scalar() : "";
    if (said != "true" && said != "false") wrong(redirect->second.line, "redirect is neither true nor false; write redirect: true");
    out.redirect = said == "true";
  }
  if (const auto list = known.find("certificates"); list != known.end()) read_certificates(list->second, out, errors_before);
  out_.tls = std::move(out);
}

void config_reader::read_certificates(const entry& at, tls_config& out, std::size_t errors_before) {
  if (!at.value.IsSequence() || at.value.size() == 0) return wrong(at.line, std::string{"certificates is no list of them; write "} + example);
  if (at.value.size() > tls_identities_max) return wrong(at.line, "there are more than 64 certificates; write fewer, or one for several names");
  struct written {
    std::string certificate, key;
    int certificate_line, key_line;
  };
  std::vector<written> all;
  for (const auto& each : at.value) {
    if (!each.IsMap()) {
      wrong(each, std::string{"a certificate is no map; write "} + example);
      continue;
    }
    const auto known = entries(each, "a certificate", keys::certificate);
    const auto* const certificate = text(known, "certificate", "chain.pem");
    const auto* const key = text(known, "key", "key.pem");
    for (const std::string_view needed : {"certificate", "key"}) {
      if (!known.contains(needed)) wrong(each, "a certificate has no " + std::string{needed} + "; write {certificate: chain.pem, key: key.pem}");
    }
    if (certificate == nullptr || key == nullptr) continue;
    all.push_back({path_beside(*certificate), path_beside(*key), known.at("certificate").line, known.at("key").line});
    const auto& one = all.back();
    out_.files.insert(out_.files.end(), {one.certificate, one.key});
    if (auto pair = read_identity(one.certificate, one.key, out.warnings)) {
      out.settings.identities.push_back(std::move(*pair));
    } else {
      wrong(one.certificate_line, pair.error());
    }
  }
  if (errors_.size() != errors_before) return;
  const auto made = front::tls_context::make(out.settings);
  if (made) return;
  const auto& fault = made.error();
  if (fault.of == front::tls_fault::part::client_ca) return wrong(at.key_line, "client_ca: " + fault.what);
  const auto& of = all.at(fault.identity);
  wrong(fault.of == front::tls_fault::part::key ? of.key_line : of.certificate_line, described(fault, of.certificate, of.key));
}

}  // namespace waggle::gateway
