#include "gateway/front/application.hpp"

#include "gateway/front/http_syntax.hpp"

namespace waggle::front {

std::optional<std::string_view> request::find(std::string_view name) const {
  for (const header& field : headers) {
    if (syntax::equal_without_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

}  // namespace waggle::front
