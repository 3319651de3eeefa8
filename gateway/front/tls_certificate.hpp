#pragma once

#include <string>
#include <vector>

#include <openssl/types.h>

#include "gateway/front/application.hpp"

/// What is written in a certificate, for the parts of TLS that know OpenSSL.
namespace waggle::front {

/// As RFC 2253 writes it; visible ASCII.
[[nodiscard]] std::string subject_of(const X509* of);

/// The hosts it is for, in lower case: of its subjectAltName or, if that names none, its common name.
[[nodiscard]] std::vector<std::string> host_names_of(const X509* of);

[[nodiscard]] client_certificate describe_client(const X509* of);

}  // namespace waggle::front
