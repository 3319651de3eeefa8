#include "gateway/identity/base64url.hpp"

#include <waggle/detail/text.hpp>

namespace waggle::gateway {

std::optional<std::string> base64url_decode(std::string_view text) {
  std::string standard{text};
  for (char& c : standard) {
    if (c == '+' || c == '/' || c == '=') return std::nullopt;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  standard.append((4 - standard.size() % 4) % 4, '=');
  return waggle::detail::base64_decode(standard);
}

}  // namespace waggle::gateway
