#pragma once

#include <string>

#include "tools/waggle/session.hpp"

namespace waggle::cli {

struct bench_serve_flags {
  std::string command = "bench.echo";
  unsigned threads = 1;
};

/// Serves a command that answers with what it got, until a signal comes. The exit code.
int bench_serve(const session& with, const bench_serve_flags& given);

}  // namespace waggle::cli
