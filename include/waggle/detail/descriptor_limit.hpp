#pragma once

#include <sys/resource.h>

namespace waggle::detail {

/// Raises the soft limit of file descriptors to the hard one, for programs whose connections are many: the usual soft limit of 1,024
/// is for those that use select(2). To be called before anything reads the limit.
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace waggle::detail
