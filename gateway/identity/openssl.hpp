#pragma once

#include <memory>

#include <openssl/evp.h>

/// What OpenSSL gives is given back.
namespace waggle::gateway::openssl {

template <auto Free>
struct freed {
  template <class Type>
  void operator()(Type* at) const {
    Free(at);
  }
};
template <class Type, auto Free>
using owned = std::unique_ptr<Type, freed<Free>>;
using key = owned<EVP_PKEY, EVP_PKEY_free>;

}  // namespace waggle::gateway::openssl
