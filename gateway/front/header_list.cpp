#include "gateway/front/header_list.hpp"

#include <algorithm>

#include "gateway/front/http_syntax.hpp"

namespace waggle::front {
namespace {

/// An answer of the gateway has some four fields, of fifty bytes each: the first makes room for them.
constexpr std::size_t usual_bytes = 240;

}  // namespace

void header_list::emplace_back(std::string_view name, std::string_view value) {
  if (text_.empty()) text_.reserve(usual_bytes);
  const field_sizes sizes{static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(value.size())};
  const auto before = text_.size();
  text_.resize(before + sizeof sizes + sizes.sent());
  char* at = text_.data() + before;
  std::memcpy(at, &sizes, sizeof sizes);
  at = std::copy_n(before_name.data(), before_name.size(), at + sizeof sizes);
  at = std::copy_n(name.data(), name.size(), at);
  at = std::copy_n(before_value.data(), before_value.size(), at);
  std::copy_n(value.data(), value.size(), at);
}

header_list::const_iterator header_list::place_of(std::string_view name) const {
  return std::find_if(begin(), end(), [&](const auto& each) { return syntax::equal_without_case(each.first, name); });
}

std::optional<std::string_view> header_list::find(std::string_view name) const {
  const auto at = place_of(name);
  return at == end() ? std::nullopt : std::optional{(*at).second};
}

void header_list::set(std::string_view name, std::string_view value) {
  const auto at = place_of(name);
  if (at == end()) return emplace_back(name, value);
  const auto first = offset_of(at), value_at = static_cast<std::size_t>((*at).second.data() - text_.data());
  auto sizes = at.sizes();
  text_.replace(value_at, sizes.value, value);
  sizes.value = static_cast<std::uint32_t>(value.size());
  std::memcpy(text_.data() + first, &sizes, sizeof sizes);
}

void header_list::erase(std::string_view name) {
  for (auto at = place_of(name); at != end(); at = place_of(name)) text_.erase(offset_of(at), sizeof(field_sizes) + at.sizes().sent());
}

}  // namespace waggle::front
