// Runs networks of broker, callers and workers in virtual time; each seed is another one.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

#include "sim/world.hpp"

namespace {

using namespace waggle::sim;

constexpr const char* usage =
    "usage: waggle_sim [--seed S] [--steps N] [--seeds COUNT] [--stop] [--verbose]\n"
    "\n"
    "Runs N steps (default 100000) of each of COUNT networks (default 1), of seed S (default 1) and those that follow.\n"
    "  --stop      after the first seed that fails\n"
    "  --verbose   says what happens, step by step\n"
    "The last line is \"N passed, N failed\", counted in seeds.\n";

struct wanted {
  std::uint64_t seed = 1;
  std::uint64_t steps = 100'000;
  std::uint64_t seeds = 1;
  bool verbose = false;
  bool stop = false;
};

bool number(const char* text, std::uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0';
}

bool read(int argc, char** argv, wanted& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--verbose") {
      out.verbose = true;
      continue;
    }
    if (flag == "--stop") {
      out.stop = true;
      continue;
    }
    auto* const to = flag == "--seed" ? &out.seed : flag == "--steps" ? &out.steps : flag == "--seeds" ? &out.seeds : nullptr;
    if (to == nullptr || ++i >= argc || !number(argv[i], *to)) return false;
  }
  return true;
}

/// Whether all went well.
bool run(std::uint64_t seed, const wanted& in) {
  const auto begin = std::chrono::steady_clock::now();
  world here{seed, in.verbose};
  std::string wrong;
  try {
    here.run(in.steps);
  } catch (const std::exception& thrown) {
    wrong = thrown.what();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto sums = here.broker().totals();
  const auto count = [](const char* what, std::uint64_t value) { return std::string{", "} + what + " " + std::to_string(value); };
  std::printf("seed %llu: %llu steps, %llu in the broker%s, trace %016llx, %.0f steps/s\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(here.steps()), static_cast<unsigned long long>(here.broker().steps()),
              (count("calls", here.book().opened()) + count("run", here.book().started()) + count("leases", sums.leases) +
               count("again", sums.again) + count("refused", sums.refused) + count("taken back", sums.taken_back) +
               count("dead", sums.dead) + count("rested", sums.rested) + count("woken", sums.woken) + count("died resting", sums.died_resting) +
               count("keyed", sums.keyed) + count("quick", sums.quick) + count("garbage", sums.broken) + count("probes", here.probes()))
                  .c_str(),
              static_cast<unsigned long long>(here.log().hash()), static_cast<double>(here.steps()) / took.count());
  if (wrong.empty()) return true;
  std::printf("FAILED: %s\n  at step %llu; %s\n  to see it again: tools/sim --seed %llu --steps %llu --verbose\n", wrong.c_str(),
              static_cast<unsigned long long>(here.steps()), here.in().in_words().c_str(), static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(in.steps));
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  wanted in;
  if (!read(argc, argv, in)) {
    std::fputs(usage, stderr);
    return 2;
  }
  std::uint64_t failed = 0;
  std::uint64_t ran = 0;
  while (ran < in.seeds && (failed == 0 || !in.stop)) {
    if (!run(in.seed + ran++, in)) ++failed;
    std::fflush(stdout);
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(ran - failed), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
