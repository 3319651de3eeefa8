#include "gateway/replies/gzip.hpp"

namespace waggle::gateway {
namespace {

// Of JSON: a fifth more bytes than at 6, in a third of the time.
constexpr int level = 2;
constexpr int window_bits = 15 + 16;  // 16: the frame of gzip
constexpr int memory_level = 8;

}  // namespace

gzip::~gzip() {
  if (made_) ::deflateEnd(&state_);
}

std::optional<std::string> gzip::compress(std::string_view body) {
  if (made_) {
    ::deflateReset(&state_);
  } else if (::deflateInit2(&state_, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  made_ = true;
  std::string out(body.size() - body.size() / 10, '\0');
  // zlib takes what it reads without `const`.
  state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  state_.avail_in = static_cast<uInt>(body.size());
  state_.next_out = reinterpret_cast<Bytef*>(out.data());
  state_.avail_out = static_cast<uInt>(out.size());
  if (::deflate(&state_, Z_FINISH) != Z_STREAM_END) return std::nullopt;
  out.resize(out.size() - state_.avail_out);
  return out;
}

}  // namespace waggle::gateway
