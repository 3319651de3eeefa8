// The HTTP front alone, for load generators: every request is answered at once with the same few bytes, except /bytes/N, which is N of them,
// and /stream/N, which is N of them in chunks as fast as the client takes them. With a certificate it speaks TLS besides. Serves until SIGTERM or
// SIGINT.
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <waggle/detail/descriptor_limit.hpp>

#include "gateway/front/server.hpp"

namespace {

using namespace waggle::front;

constexpr std::size_t piece = 16 * 1024, backlog_max = 64 * 1024;

class answers_at_once final : public application {
 public:
  explicit answers_at_once(responder& out) : out_{out} {}

  void on_request(instant, exchange_id id, const request& in) override {
    if (const auto size = size_in(in.path, "/stream/")) {
      out_.begin(id, {200, "text/plain", "", {}});
      left_[id] = size;
      pour(id);
    } else if (const auto bytes = size_in(in.path, "/bytes/")) {
      out_.respond(id, {200, "text/plain", std::string(bytes, 'x'), {}});
    } else {
      out_.respond(id, {200, "application/json", R"({"message":"hello world"})", {}});
    }
  }
  void on_room(instant, exchange_id id) override { pour(id); }
  void on_abandoned(instant, exchange_id id) override { left_.erase(id); }

 private:
  static std::size_t size_in(std::string_view path, std::string_view prefix) {
    std::size_t out = 0;
    if (path.starts_with(prefix)) std::from_chars(path.data() + prefix.size(), path.data() + path.size(), out);
    return out > 1'000'000'000 ? 0 : out;
  }
  void pour(exchange_id id) {
    const auto at = left_.find(id);
    if (at == left_.end()) return;
    while (at->second > 0 && out_.backlog(id) < backlog_max) {
      const auto size = std::min(at->second, piece);
      if (!out_.append(id, std::string_view{text_}.substr(0, size))) {
        left_.erase(at);
        return;
      }
      at->second -= size;
    }
    if (at->second > 0) return;
    out_.finish(id);
    left_.erase(at);
  }

  responder& out_;
  const std::string text_ = std::string(piece, 'x');
  std::unordered_map<exchange_id, std::size_t> left_;
};

std::string text_of(const char* path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

int main(int argc, char** argv) {
  server_options with;
  with.threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2;
  if ((argc > 2 && argc != 4) || with.threads < 1 || with.threads > 255) {
    std::fputs("usage: waggle-bench-front [THREADS [CERTIFICATE KEY]]    (2 unless given; prints where it listens)\n", stderr);
    return 2;
  }
  if (argc == 4) {
    const auto made = tls_context::make({.identities = {{text_of(argv[2]), text_of(argv[3])}}});
    if (!made) return std::fprintf(stderr, "waggle-bench-front: %s\n", made.error().what.c_str()), 1;
    with.listen.push_back({.tls = true});
    with.tls = *made;
  }
  waggle::detail::raise_descriptor_limit();
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  server front{with, [](responder& out) { return std::make_unique<answers_at_once>(out); }};
  front.start();
  std::printf("ready waggle-bench-front http=%s", front.endpoint().c_str());
  if (argc == 4) std::printf(" https=%s", front.endpoints().back().c_str());
  std::printf("\n");
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  front.stop();
}
