#pragma once

#include <functional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/identity/api_keys.hpp"

namespace waggle::gateway {

/// What has gone wrong with a file of API keys; `faulty`: it can be read, and is no such file.
struct key_file_error {
  std::string why;
  bool faulty = false;
};

/// The keys of a file; none if there is no such file.
[[nodiscard]] tl::expected<std::vector<api_key>, key_file_error> read_key_file(const std::string& path);

/// Changes a file of API keys, or makes it, with mode 0600: whoever reads it sees all of the old or all of the new, after a power failure too. Others that
/// change it at the same time wait (a lock on `PATH.lock`, which stays). Comments are not kept. `change` returns why not, or nothing.
[[nodiscard]] tl::expected<void, key_file_error> change_key_file(const std::string& path, const std::function<std::string(std::vector<api_key>&)>& change);

/// 30 bytes from the system's generator. Throws std::system_error if it has none.
[[nodiscard]] std::array<unsigned char, 30> random_for_api_key();

}  // namespace waggle::gateway
