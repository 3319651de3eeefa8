#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

/// What the programs that run simulated networks have in common: their command line, and a world for each seed.
namespace waggle::sim {

struct wanted {
  std::uint64_t seed = 1;
  std::uint64_t steps = 100'000;
  std::uint64_t seeds = 1;
  bool verbose = false;
  bool stop = false;
};

inline bool read_number(const char* text, std::uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0';
}

inline bool read_command_line(int argc, char** argv, wanted& out) {
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
    if (to == nullptr || ++i >= argc || !read_number(argv[i], *to)) return false;
  }
  return true;
}

/// `, what value` for each, for a line that says what there was in a world.
inline std::string counted(std::initializer_list<std::pair<const char*, std::uint64_t>> all) {
  std::string out;
  for (const auto& [what, value] : all) out += std::string{", "} + what + " " + std::to_string(value);
  return out;
}

/// Whether all went well. `sums(world)` is what there was, for the line that is printed; `again` begins the command that runs it once more.
template <class World, class Sums>
bool run_world(std::uint64_t seed, const wanted& in, const char* again, Sums sums) {
  const auto begin = std::chrono::steady_clock::now();
  World here{seed, in.verbose};
  std::string wrong;
  try {
    here.run(in.steps);
  } catch (const std::exception& thrown) {
    wrong = thrown.what();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("seed %llu: %llu steps%s, trace %016llx, %.0f steps/s\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(here.steps()),
              std::string{sums(here)}.c_str(), static_cast<unsigned long long>(here.log().hash()), static_cast<double>(here.steps()) / took.count());
  if (wrong.empty()) return true;
  std::printf("FAILED: %s\n  at step %llu; %s\n  to see it again: %s --seed %llu --steps %llu --verbose\n", wrong.c_str(),
              static_cast<unsigned long long>(here.steps()), here.in().in_words().c_str(), again, static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(in.steps));
  return false;
}

/// The whole program `name`, its exit code.
template <class World, class Sums>
int run_seeds(int argc, char** argv, const char* name, const char* again, Sums sums) {
  wanted in;
  if (!read_command_line(argc, argv, in)) {
    std::fprintf(stderr,
                 "usage: %s [--seed S] [--steps N] [--seeds COUNT] [--stop] [--verbose]\n"
                 "\n"
                 "Runs N steps (default 100000) of each of COUNT networks (default 1), of seed S (default 1) and those that follow.\n"
                 "  --stop      after the first seed that fails\n"
                 "  --verbose   says what happens, step by step\n"
                 "The last line is \"N passed, N failed\", counted in seeds.\n",
                 name);
    return 2;
  }
  std::uint64_t failed = 0;
  std::uint64_t ran = 0;
  while (ran < in.seeds && (failed == 0 || !in.stop)) {
    if (!run_world<World>(in.seed + ran++, in, again, sums)) ++failed;
    std::fflush(stdout);
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(ran - failed), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

}  // namespace waggle::sim
