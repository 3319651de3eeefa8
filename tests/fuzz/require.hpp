#pragma once

#include <cstdio>
#include <cstdlib>

namespace waggle::fuzz {

/// What must hold whatever the bytes are: says which claim does not, and stops, so that libFuzzer keeps the input.
inline void require(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "\nnot true: %s\n", claim);
  std::abort();
}

}  // namespace waggle::fuzz
