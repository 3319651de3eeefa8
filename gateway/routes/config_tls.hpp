#pragma once

#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/front/tls_context.hpp"

namespace waggle::gateway {

/// With what the gateway speaks TLS, and what plain clients hear of it.
struct tls_config {
  front::tls_settings settings;  ///< the texts of the files; without identities where flags are to name them
  std::string place;             ///< FILE:LINE of it
  std::vector<std::string> warnings;  ///< what is not wrong and should not be so
  bool redirect = false;         ///< plain requests are sent to https
};

inline constexpr std::size_t tls_identities_max = 64;
inline constexpr std::size_t pem_bytes_max = 256 * 1024;  ///< of one file

/// A certificate and its key in files. Wrong: which file it is, and what to do. A key that everybody may read is a warning.
[[nodiscard]] tl::expected<front::tls_identity, std::string> read_identity(const std::string& certificate, const std::string& key,
                                                                           std::vector<std::string>& warnings);

/// What `fault` is about, with the file in which it is.
[[nodiscard]] std::string described(const front::tls_fault& fault, const std::string& certificate, const std::string& key);

}  // namespace waggle::gateway
