#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <msgpack/pack.hpp>

#include <waggle/wire/big_endian.hpp>
#include <waggle/wire/limits.hpp>

namespace waggle::wire {

/// Appends msgpack values to a string of bytes that somebody else owns. Containers are opened with their count and followed by
/// their elements; nothing closes them.
class writer {
 public:
  explicit writer(std::string& out) : sink_{&out}, packer_{sink_} {}
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  void nil() { packer_.pack_nil(); }
  void boolean(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }
  void unsigned_integer(std::uint64_t value) { packer_.pack_uint64(value); }
  void integer(std::int64_t value) { packer_.pack_int64(value); }
  /// Written here, because msgpack-cxx packs 1.0 as the integer 1 and -0.0 as 0: whoever sends a floating number keeps one.
  void floating(double value) { big_endian('\xcb', std::bit_cast<std::uint64_t>(value)); }
  void floating(float value) { big_endian('\xca', std::bit_cast<std::uint32_t>(value)); }
  /// Texts and binaries of 4 GiB and more do not exist in msgpack; every caller's limit is far below.
  void string(std::string_view text) {
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void binary(std::string_view bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }
  void array(std::size_t count) { packer_.pack_array(static_cast<std::uint32_t>(count)); }
  void map(std::size_t count) { packer_.pack_map(static_cast<std::uint32_t>(count)); }
  void extension(std::int8_t type, std::string_view bytes) {
    packer_.pack_ext(bytes.size(), type);
    packer_.pack_ext_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }
  /// A value that is msgpack already.
  void raw(std::string_view value) { sink_.out->append(value); }

 private:
  template <class Bits>
  void big_endian(char type, Bits bits) {
    std::array<char, 1 + sizeof(Bits)> bytes{type};
    for (std::size_t i = sizeof(Bits); i > 0; --i, bits >>= 8) bytes[i] = static_cast<char>(bits & 0xff);
    raw({bytes.data(), bytes.size()});
  }

  struct sink {
    std::string* out;
    void write(const char* data, std::size_t size) { out->append(data, size); }
  };
  sink sink_;
  msgpack::packer<sink> packer_;
};

/// Appends one frame: gathers its small values here and appends them together, since growing a string by a byte at a time was a
/// fifth of what a call cost the broker. What is longer than `short_max` is copied once, from where it is to where it goes.
class frame_writer {
 public:
  explicit frame_writer(std::string& out) : out_{out} {}
  frame_writer(const frame_writer&) = delete;
  frame_writer& operator=(const frame_writer&) = delete;
  ~frame_writer() { flush(); }

  void nil() { byte(0xc0); }
  void array(std::size_t count_below_16) { byte(static_cast<std::uint8_t>(0x90 | count_below_16)); }
  void map(std::size_t count_below_16) { byte(static_cast<std::uint8_t>(0x80 | count_below_16)); }
  void number_below_128(std::uint8_t value) { byte(value); }
  void unsigned_integer(std::uint64_t value) {
    if (value <= 0x7f) return byte(static_cast<std::uint8_t>(value));
    const auto exponent = value <= 0xff ? 0u : value <= 0xffff ? 1u : value <= 0xffffffffu ? 2u : 3u;
    sized(static_cast<std::uint8_t>(0xcc + exponent), exponent, value);
  }
  void string(std::string_view text) {
    if (text.size() <= 0x1f) {
      byte(static_cast<std::uint8_t>(0xa0 | text.size()));
    } else {
      const auto exponent = exponent_of(text.size());
      sized(static_cast<std::uint8_t>(0xd9 + exponent), exponent, text.size());
    }
    raw(text);
  }
  void binary(std::string_view bytes) {
    const auto exponent = exponent_of(bytes.size());
    sized(static_cast<std::uint8_t>(0xc4 + exponent), exponent, bytes.size());
    raw(bytes);
  }
  /// A value that is msgpack already, or the rest of one.
  void raw(std::string_view bytes) {
    if (bytes.size() > short_max) {
      flush();
      out_.append(bytes);
      return;
    }
    if (bytes.empty()) return;  // an empty view may point nowhere
    make_room(bytes.size());
    std::memcpy(gathered_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }

 private:
  static constexpr std::size_t short_max = 128;

  static unsigned exponent_of(std::size_t size) { return size <= 0xff ? 0u : size <= 0xffff ? 1u : 2u; }
  void byte(std::uint8_t value) {
    make_room(1);
    gathered_[used_++] = static_cast<char>(value);
  }
  /// A type and 1, 2, 4 or 8 bytes of a number.
  void sized(std::uint8_t type, unsigned exponent, std::uint64_t value) {
    make_room(1 + sizeof(value));
    const auto width = 1u << exponent;
    gathered_[used_] = static_cast<char>(type);
    store_big_endian(gathered_.data() + used_ + 1, value << (64 - 8 * width));
    used_ += 1 + width;
  }
  void make_room(std::size_t bytes) {
    if (used_ + bytes > gathered_.size()) flush();
  }
  void flush() {
    out_.append(gathered_.data(), used_);
    used_ = 0;
  }

  std::string& out_;
  std::size_t used_ = 0;
  std::array<char, 256> gathered_;
};

}  // namespace waggle::wire
