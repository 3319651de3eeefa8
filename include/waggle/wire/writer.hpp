#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include <msgpack/pack.hpp>

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

}  // namespace waggle::wire
