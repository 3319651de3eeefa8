#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace waggle::front {

/// The header fields of an answer, in their order: pairs of a name and a value, any bytes (`is_sendable` looks at them). All lie in one text, since most
/// have a value that a string of its own would allocate for; each as it is sent, with its sizes before it, so that nothing in a value can pass for the
/// next field.
///
/// What is given to a list must not point into it, and what it has given out is good until it changes.
class header_list {
  static constexpr std::string_view before_name = "\r\n", before_value = ": ";
  struct field_sizes {
    std::uint32_t name, value;
    [[nodiscard]] std::size_t sent() const { return before_name.size() + name + before_value.size() + value; }
  };

 public:
  using field = std::pair<std::string_view, std::string_view>;

  class const_iterator {
   public:
    using value_type = field;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = field;
    using iterator_category = std::input_iterator_tag;  // it makes what it points at

    const_iterator() = default;
    explicit const_iterator(const char* at) : at_{at} {}
    field operator*() const {
      const auto [name, value] = sizes();
      const char* const begin = at_ + sizeof(field_sizes) + before_name.size();
      return {{begin, name}, {begin + name + before_value.size(), value}};
    }
    /// The field as it is sent, behind what comes before it: "\r\nVary: Accept".
    [[nodiscard]] std::string_view sent() const { return {at_ + sizeof(field_sizes), sizes().sent()}; }
    const_iterator& operator++() {
      at_ += sizeof(field_sizes) + sizes().sent();
      return *this;
    }
    const_iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) = default;

   private:
    friend header_list;
    [[nodiscard]] field_sizes sizes() const {
      field_sizes out;
      std::memcpy(&out, at_, sizeof out);
      return out;
    }
    const char* at_ = nullptr;
  };

  header_list() = default;
  header_list(std::initializer_list<field> fields) {
    for (const auto& [name, value] : fields) emplace_back(name, value);
  }

  void emplace_back(std::string_view name, std::string_view value);
  void append(const header_list& more) { text_ += more.text_; }
  /// The first of this name, without regard to case, gets another value; if there is none it is added.
  void set(std::string_view name, std::string_view value);
  /// All of this name go, without regard to case.
  void erase(std::string_view name);
  void clear() { text_.clear(); }

  /// The value of the first of this name, without regard to case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] const_iterator begin() const { return const_iterator{text_.data()}; }
  [[nodiscard]] const_iterator end() const { return const_iterator{text_.data() + text_.size()}; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(std::distance(begin(), end())); }
  /// At least what all of them take when they are sent.
  [[nodiscard]] std::size_t bytes() const { return text_.size(); }

 private:
  [[nodiscard]] const_iterator place_of(std::string_view name) const;
  [[nodiscard]] std::size_t offset_of(const const_iterator& at) const { return static_cast<std::size_t>(at.at_ - text_.data()); }

  std::string text_;
};

}  // namespace waggle::front
