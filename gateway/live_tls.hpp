#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "gateway/front/tls_context.hpp"
#include "gateway/live_routes.hpp"
#include "gateway/routes/config.hpp"

namespace waggle::gateway {

/// A certificate that flags name; it stands in the place of those of the configuration, whose other settings stay.
struct tls_flags {
  std::string certificate, key;  ///< files; both or neither
};

/// The TLS of a process, made anew when its certificates or settings change. Of the main thread, and of that of `live_routes`, one at a time.
class live_tls {
 public:
  /// `say` takes lines for people. `is_served`: something listens for TLS, so that there has to be a certificate.
  live_tls(tls_flags flags, bool is_served, std::function<void(std::string_view)> say);

  using context_ptr = std::shared_ptr<const front::tls_context>;
  /// What a configuration and the flags' files come to, as they are now; null if no certificate is named. Wrong: what to mend.
  [[nodiscard]] tl::expected<context_ptr, std::vector<std::string>> make(const config& from);

  /// The configuration's changes reach `use`, which is given each new context.
  [[nodiscard]] live_routes::part part_of(std::function<void(context_ptr)> use);

 private:
  void tell(const front::tls_context& of, const std::vector<std::string>& warnings) const;

  const tls_flags flags_;
  const bool is_served_;
  const std::function<void(std::string_view)> say_;
  front::tls_settings settings_;  ///< what `context_` was made of
  context_ptr context_;
};

}  // namespace waggle::gateway
