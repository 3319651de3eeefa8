#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "gateway/front/application.hpp"

namespace waggle::gateway {

/// One file of the page. What it points at lives as long as the program.
struct docs_asset {
  std::string_view name;  ///< below /docs/; empty: the page itself
  std::string_view media_type;
  std::string_view sum;   ///< of its bytes
  std::string_view gzip;
  std::size_t bytes;      ///< when it is unpacked
};

/// Those that this program was built with; none without npm (gateway/README.md, "The page").
[[nodiscard]] std::span<const docs_asset> docs_assets();

inline constexpr std::string_view docs_path = "/docs";

/// The page that shows /openapi.json and lets one try requests. All that it needs is here: a browser that shows it asks nobody else, and is
/// told not to.
class docs_page {
 public:
  explicit docs_page(std::span<const docs_asset> assets = docs_assets()) : assets_{assets} {}
  /// Nothing for a path that is not the page's. Without assets the page is a 501 that says how to get it.
  [[nodiscard]] std::optional<front::response> answer(const front::request& in) const;

 private:
  std::span<const docs_asset> assets_;
};

}  // namespace waggle::gateway
