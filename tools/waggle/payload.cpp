#include "tools/waggle/payload.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <waggle/wire/json.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/reader.hpp>

namespace waggle::cli {
namespace {

auto refused(std::string message) { return failure(status::invalid_argument, std::move(message)); }

/// JSON text is at most about six times as long as its msgpack (a control character in a string).
constexpr std::size_t input_bytes_max = 6 * wire::payload_bytes_max;

result<std::string> read_all(int descriptor, std::string_view what, int patience_ms) {
  std::string out;
  char block[16 * 1024];
  for (;;) {
    pollfd ready{descriptor, POLLIN, 0};
    const int found = ::poll(&ready, 1, out.empty() ? patience_ms : -1);
    if (found < 0 && errno == EINTR) continue;
    if (found == 0) {
      return refused(std::string{what} +
                     " is a pipe in which nothing comes; give a payload, or redirect it from /dev/null");
    }
    const auto got = ::read(descriptor, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused("cannot read " + std::string{what} + ": " + std::strerror(errno));
    if (got == 0) return out;
    out.append(block, static_cast<std::size_t>(got));
    if (out.size() > input_bytes_max) return refused(std::string{what} + " is longer than any payload may be");
  }
}

}  // namespace

result<std::string> payload_from(std::string_view bytes, encoding as) {
  std::string out{bytes};
  if (as == encoding::json) {
    const auto begin = bytes.find_first_not_of(" \t\r\n");
    if (begin == bytes.npos) return std::string{};
    auto converted = wire::json_to_msgpack(bytes);
    if (!converted) {
      const bool is_word = (bytes[begin] | 0x20) >= 'a' && (bytes[begin] | 0x20) <= 'z';
      return refused("payload: " + converted.error().message +
                     (is_word ? "; a text needs quotes of its own, as in '\"text\"'" : ""));
    }
    out = std::move(*converted);
  }
  if (out.size() > wire::payload_bytes_max) return refused("the payload is larger than 4 MiB");
  wire::reader in{out};
  if (!out.empty() && (!in.skip() || (!in.at_end() && !in.fail("more bytes follow the value")))) {
    return refused("the payload is not one msgpack value: " + std::string{in.why()} + " (at byte " +
                   std::to_string(in.offset()) + ")");
  }
  return out;
}

result<std::string> read_argument(std::string_view argument, bool is_given, std::chrono::milliseconds patience) {
  if (!is_given) {
    struct stat input {};
    const bool is_piped = ::fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode));
    if (!is_piped) return std::string{};
    const auto patience_ms =
        static_cast<int>(std::min<std::int64_t>(patience.count(), std::numeric_limits<int>::max()));
    return read_all(STDIN_FILENO, "standard input", patience_ms);
  }
  if (argument == "-") return read_all(STDIN_FILENO, "standard input", -1);
  if (!argument.starts_with('@')) return std::string{argument};
  const std::string path{argument.substr(1)};
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return refused("cannot open " + path + ": " + std::strerror(errno));
  auto out = read_all(descriptor, path, -1);
  ::close(descriptor);
  return out;
}

}  // namespace waggle::cli
