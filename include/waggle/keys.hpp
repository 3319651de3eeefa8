#pragma once

#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <waggle/environment.hpp>
#include <waggle/net/curve.hpp>

/// Key files, as `waggle keygen` writes them: NAME.key has both keys of a pair, NAME.pub the public one. They are those of CZMQ's zcert and of
/// pyzmq's `zmq.auth`, so whatever is written with these can read them, and theirs can be used here.
namespace waggle {

/// What is wrong with a key, and what helps. It never holds a secret.
struct key_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How a peer proves who it is to a broker that wants keys, and knows that broker. Both or neither.
struct key_options {
  std::string key = environment("WAGGLE_KEY", "");                ///< the file of its own pair, NAME.key
  std::string broker_key = environment("WAGGLE_BROKER_KEY", "");  ///< the broker's public key: 40 characters, or a file that has it

  /// For brokers without keys, whatever the environment says.
  [[nodiscard]] static key_options none() { return {{}, {}}; }
};

namespace detail {

inline constexpr std::size_t key_file_bytes_max = 64u << 10;

/// `name = "value"` in one line, in whatever section; empty if it is not there.
[[nodiscard]] inline std::string key_entry(std::string_view text, std::string_view name) {
  constexpr std::string_view blank = " \t\r", around = " \t\r\"'";
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
    if (!line.starts_with('=')) continue;
    line.remove_prefix(std::min(line.find_first_not_of(around, 1), line.size()));
    const auto end = line.find_last_not_of(around);
    return std::string{line.substr(0, end == line.npos ? 0 : end + 1)};
  }
  return {};
}

[[nodiscard]] inline std::string read_key_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw key_error{path + ": the key file cannot be read (" + std::strerror(errno) + "); `waggle keygen NAME` makes one"};
  std::string text(key_file_bytes_max, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace detail

/// Both keys of a file, NAME.key. Throws key_error, also for a file that everybody on this machine may read. (Its group may: that is how
/// secrets are mounted for programs that are not root.)
[[nodiscard]] inline net::key_pair read_key_pair(const std::string& path) {
  net::key_pair out;
  const auto text = detail::read_key_file(path);
  out.secret_key = detail::key_entry(text, "secret-key");
  if (out.secret_key.empty()) throw key_error{path + ": there is no secret-key in this file; it takes the one that ends in .key, not the .pub"};
  out.public_key = net::public_key_of(out.secret_key);
  if (out.public_key.empty()) throw key_error{path + ": the secret-key is none, which has 40 characters of Z85; `waggle keygen NAME` makes a new pair"};
  const auto said = detail::key_entry(text, "public-key");
  if (!said.empty() && said != out.public_key) throw key_error{path + ": the public-key is not that of the secret-key; use the file as it was made"};
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & S_IROTH) != 0) {
    throw key_error{path + ": everybody on this machine can read the secret key; chmod 600 it, and make a new pair if somebody may have"};
  }
  return out;
}

/// The text of such a file: of NAME.pub, or of NAME.key with the secret key.
[[nodiscard]] inline std::string key_file_text(const net::key_pair& from, bool with_secret) {
  return std::string{with_secret ? "# A waggle key pair. Keep it secret: whoever has it can do what its owner may.\n"
                                 : "# A waggle public key.\n"} +
         "curve\n    public-key = \"" + from.public_key + "\"\n" + (with_secret ? "    secret-key = \"" + from.secret_key + "\"\n" : "");
}

/// A public key, or that in a file, .pub or .key. Throws key_error.
[[nodiscard]] inline std::string read_public_key(const std::string& text_or_path) {
  if (net::is_key(text_or_path)) return text_or_path;
  auto out = detail::key_entry(detail::read_key_file(text_or_path), "public-key");
  if (!net::is_key(out)) throw key_error{text_or_path + ": there is no public-key of 40 characters in this file; `waggle keygen NAME` writes NAME.pub"};
  return out;
}

/// What the options say, read from their files; empty when they say nothing. Throws key_error.
[[nodiscard]] inline net::peer_keys read_keys(const key_options& from) {
  if (from.key.empty() && from.broker_key.empty()) return {};
  if (from.key.empty()) throw key_error{"the broker's key is given, and none of one's own: --key-file or WAGGLE_KEY names a file that `waggle keygen` has made"};
  if (from.broker_key.empty()) {
    throw key_error{"the broker's key is missing: --broker-key or WAGGLE_BROKER_KEY is its public key, or the .pub file that has it"};
  }
  return {read_key_pair(from.key), read_public_key(from.broker_key)};
}

}  // namespace waggle
