#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <zlib.h>

namespace waggle::gateway {

/// Compresses bodies, one after the other, with one state of zlib (some 270 KB, made with the first body). Of one thread.
class gzip {
 public:
  gzip() = default;
  ~gzip();
  gzip(const gzip&) = delete;
  gzip& operator=(const gzip&) = delete;

  /// The body as gzip (RFC 1952), or nothing if that would not be shorter by a tenth, or memory is short.
  [[nodiscard]] std::optional<std::string> compress(std::string_view body);

 private:
  z_stream state_{};
  bool made_ = false;
};

}  // namespace waggle::gateway
