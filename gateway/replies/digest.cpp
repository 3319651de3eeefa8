#include "gateway/replies/digest.hpp"

#include <openssl/sha.h>

namespace waggle::gateway {

digest digest_of(std::string_view bytes) {
  digest out;
  ::SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out.data());
  return out;
}

}  // namespace waggle::gateway
