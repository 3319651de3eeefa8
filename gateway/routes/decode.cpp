#include "gateway/routes/decode.hpp"

#include <algorithm>

#include <waggle/wire/utf8.hpp>

#include "gateway/routes/percent.hpp"

namespace waggle::gateway {
namespace {

/// The text that `escaped` stands for: itself, or a view into `storage`, which must have room for it already, since
/// views into it stay. Null `why` if it can be decoded.
std::string_view decode(std::string_view escaped, bool plus_is_space, std::string& storage, const char*& why) {
  bool plain = true, ascii = true;
  for (const char c : escaped) {
    plain = plain && c != '%' && !(plus_is_space && c == '+');
    ascii = ascii && static_cast<signed char>(c) > 0;
  }
  if (plain && ascii) return escaped;  // nearly all are
  std::string_view text = escaped;
  if (!plain) {
    const auto from = storage.size();
    for (std::size_t i = 0; i < escaped.size(); ++i) {
      char c = escaped[i];
      if (c == '%') {
        const int high = i + 1 < escaped.size() ? hex_digit(escaped[i + 1]) : -1;
        const int low = i + 2 < escaped.size() ? hex_digit(escaped[i + 2]) : -1;
        if (high < 0 || low < 0) {
          why = "a % is not followed by two hexadecimal digits";
          return {};
        }
        c = static_cast<char>(high * 16 + low);
        i += 2;
      } else if (c == '+' && plus_is_space) {
        c = ' ';
      }
      storage.push_back(c);
    }
    text = std::string_view{storage}.substr(from);
  }
  if (text.find('\0') != std::string_view::npos) why = "it holds a zero byte";
  if (!wire::is_utf8(text)) why = "it is not UTF-8";
  return text;
}

}  // namespace

decoded_path::decoded_path(std::string_view path) {
  if (!path.starts_with('/')) {
    why_ = "it does not begin with a slash";
    return;
  }
  if (path == "/") return;
  decoded_.reserve(path.size());
  for (auto left = path; !left.empty();) {
    left.remove_prefix(1);
    const auto escaped = left.substr(0, left.find('/'));
    left.remove_prefix(escaped.size());
    const auto segment = decode(escaped, false, decoded_, why_);
    if (why_ != nullptr) return;
    if (segment == "." || segment == "..") {
      why_ = "it has a segment of dots";
      return;
    }
    if (size_ == segments_.size()) {
      too_long_ = true;  // goes on, so that what is wrong is wrong at any length
    } else {
      segments_[size_++] = segment;
    }
  }
}

decoded_query::decoded_query(std::string_view query) {
  if (query.empty()) return;
  decoded_.reserve(query.size());
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = decode(pair.substr(0, equals), true, decoded_, why_);
    const auto value = decode(pair.substr(std::min(equals + 1, pair.size())), true, decoded_, why_);
    if (why_ != nullptr) return;
    if (parameters().size() == query_parameters_max) {
      why_ = "it has more than 256 parameters";
      return;
    }
    add({name, value});
  }
  const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (std::ranges::is_sorted(parameters(), by_name)) return;  // std::stable_sort would allocate all the same
  const std::span all = many_.empty() ? std::span{few_}.first(few_count_) : std::span{many_};
  std::stable_sort(all.begin(), all.end(), by_name);
}

void decoded_query::add(const parameter& each) {
  if (many_.empty() && few_count_ < few_.size()) {
    few_[few_count_++] = each;
    return;
  }
  if (many_.empty()) many_.assign(few_.begin(), few_.end());
  many_.push_back(each);
}

void decoded_query::find(std::string_view name, std::vector<std::string_view>& out) const {
  const auto before = [](const auto& one, std::string_view wanted) { return one.first < wanted; };
  const auto all = parameters();
  for (auto at = std::lower_bound(all.begin(), all.end(), name, before); at != all.end() && at->first == name; ++at) {
    out.push_back(at->second);
  }
}

}  // namespace waggle::gateway
