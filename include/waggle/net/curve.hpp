#pragma once

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

#include <zmq.hpp>

/// CurveZMQ (RFC 26): who connects is known by a key, and nobody else reads what passes. Keys are Curve25519's, as Z85 text (RFC 32).
namespace waggle::net {

inline constexpr std::size_t key_text_bytes = 40;  ///< of 32 bytes in Z85

/// Either key of a pair as text. It says nothing of whether anybody has the other one.
[[nodiscard]] inline bool is_key(std::string_view text) {
  constexpr std::string_view z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  return text.size() == key_text_bytes && text.find_first_not_of(z85) == text.npos;
}

struct key_pair {
  std::string public_key;  ///< may be shown to anybody
  std::string secret_key;  ///< is not to be logged, and belongs into no message

  [[nodiscard]] bool empty() const { return secret_key.empty(); }
};

/// A new pair. Throws std::runtime_error when the system's libzmq was built without CURVE.
[[nodiscard]] inline key_pair make_key_pair() {
  char public_key[key_text_bytes + 1], secret_key[key_text_bytes + 1];
  if (zmq_curve_keypair(public_key, secret_key) != 0) throw std::runtime_error{"this libzmq was built without CURVE; install one that has it"};
  return {public_key, secret_key};
}

/// The public key that belongs to a secret one; empty if that is no key.
[[nodiscard]] inline std::string public_key_of(const std::string& secret_key) {
  char out[key_text_bytes + 1];
  return is_key(secret_key) && zmq_curve_public(out, secret_key.c_str()) == 0 ? std::string{out} : std::string{};
}

/// What a peer needs to connect to a broker that wants keys. Empty for one that does not. Neither counts for inproc://, which does not
/// leave the process.
struct peer_keys {
  key_pair own;
  std::string broker;  ///< its public key

  [[nodiscard]] bool empty() const { return broker.empty(); }
};

}  // namespace waggle::net
