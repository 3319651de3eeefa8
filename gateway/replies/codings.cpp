#include "gateway/replies/codings.hpp"

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {

using front::syntax::equal_without_case;
using front::syntax::next_part;

accepted_codings accepted_codings_of(const std::vector<front::header>& headers) {
  constexpr int unsaid = -1;
  int gzip = unsaid, identity = unsaid, others = unsaid;
  for (const auto& header : headers) {
    if (!equal_without_case(header.name, "accept-encoding")) continue;
    for (auto left = header.value; !left.empty();) {
      auto element = next_part(left, ',');
      const auto coding = next_part(element, ';');
      const int weight = front::syntax::weight(element);
      if (weight < 0) continue;
      if (equal_without_case(coding, "gzip") || equal_without_case(coding, "x-gzip")) gzip = weight;
      if (equal_without_case(coding, "identity")) identity = weight;
      if (coding == "*") others = weight;
    }
  }
  if (gzip == unsaid) gzip = others;
  // What is not named at all is acceptable, and less so than what is.
  const bool is_named = identity != unsaid || others == 0;
  if (identity == unsaid) identity = others;
  return {gzip > 0 && (!is_named || gzip >= identity), identity != 0};
}

}  // namespace waggle::gateway
