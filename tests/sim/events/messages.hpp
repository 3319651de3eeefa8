#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

#include "sim/trace.hpp"

/// What actors say and are told: small msgpack maps.
namespace waggle::sim {

/// A text as a payload: one msgpack value.
[[nodiscard]] inline std::string packed(std::string_view text) {
  std::string out;
  wire::writer{out}.string(text);
  return out;
}

/// A map whose values are texts and numbers.
class asked_map {
 public:
  asked_map& text(std::string_view key, std::string_view value) {
    out_.string(key);
    out_.string(value);
    return count();
  }
  asked_map& number(std::string_view key, std::uint64_t value) {
    out_.string(key);
    out_.unsigned_integer(value);
    return count();
  }
  asked_map& texts(std::string_view key, const std::vector<std::string>& values) {
    out_.string(key);
    out_.array(values.size());
    for (const auto& each : values) out_.string(each);
    return count();
  }
  [[nodiscard]] std::string bytes() const {
    std::string whole;
    wire::writer to{whole};
    to.map(count_);
    return whole + body_;
  }

 private:
  asked_map& count() { return ++count_, *this; }
  std::string body_;
  wire::writer out_{body_};
  std::size_t count_ = 0;
};

/// The entries of a map, each as the msgpack it is. Throws when it is none.
class told_map {
 public:
  explicit told_map(std::string_view bytes) {
    wire::reader in{bytes};
    if (in.peek() != wire::kind::map) throw violation{"an answer is no map"};
    const bool whole = wire::read_entries(in, [&](std::string_view key) {
      std::string_view value;
      if (!in.raw(value)) return false;
      if (!entries_.emplace(key, value).second) throw violation{"an answer has an entry twice"};
      return true;
    });
    if (!whole || !in.at_end()) throw violation{"an answer is not well-formed"};
  }

  [[nodiscard]] bool has(std::string_view key) const { return entries_.contains(key); }
  [[nodiscard]] std::string_view raw(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? std::string_view{} : found->second;
  }
  [[nodiscard]] std::uint64_t number(std::string_view key) const {
    std::uint64_t out = 0;
    wire::reader in{need(key)};
    if (!in.unsigned_integer(out)) throw violation{"an answer's " + std::string{key} + " is no number"};
    return out;
  }
  [[nodiscard]] std::string text(std::string_view key) const {
    std::string_view out;
    wire::reader in{need(key)};
    if (!in.string(out)) throw violation{"an answer's " + std::string{key} + " is no text"};
    return std::string{out};
  }
  [[nodiscard]] bool flag(std::string_view key) const {
    bool out = false;
    wire::reader in{need(key)};
    if (!in.boolean(out)) throw violation{"an answer's " + std::string{key} + " is no boolean"};
    return out;
  }
  /// The elements of an array, each as the msgpack it is.
  [[nodiscard]] std::vector<std::string_view> list(std::string_view key) const {
    std::vector<std::string_view> out;
    std::uint32_t count = 0;
    wire::reader in{need(key)};
    if (!in.array(count)) throw violation{"an answer's " + std::string{key} + " is no array"};
    out.resize(count);
    for (auto& each : out) in.raw(each);
    return out;
  }

 private:
  [[nodiscard]] std::string_view need(std::string_view key) const {
    const auto found = entries_.find(key);
    if (found == entries_.end()) throw violation{"an answer lacks " + std::string{key}};
    return found->second;
  }
  std::map<std::string, std::string, std::less<>> entries_;
};

}  // namespace waggle::sim
