#pragma once

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/detail/duration.hpp>
#include <waggle/environment.hpp>

namespace waggle::detail {

/// One flag of a service, which is also an environment variable. The flag wins.
struct service_flag {
  const char* name;
  const char* variable;
  const char* value;  ///< what the value is called in the help; null: it has none, and `now` is "1" when it is there
  const char* help;
  std::string now;    ///< the default, then what was said last
  std::vector<std::string> given{};  ///< what was said on the command line, each time

  /// Whether anything was said, on the command line or by the environment.
  [[nodiscard]] bool said() const { return !given.empty() || !environment(variable, "").empty(); }
};

/// Reads flags and environment with getopt_long: services are compiled by their authors again and again, and a command-line
/// library would be most of that time. Returns an exit code when there is nothing to run: help, version, or a mistake, which
/// is named on standard error.
[[nodiscard]] inline std::optional<int> read_service_flags(int argc, char** argv, const std::string& service,
                                                           const std::string& version, std::vector<service_flag>& flags) {
  std::vector<option> options;
  for (auto& each : flags) {
    each.now = environment(each.variable, each.now.c_str());
    options.push_back({each.name, each.value == nullptr ? no_argument : required_argument, nullptr, 0});
  }
  options.push_back({"help", no_argument, nullptr, 'h'});
  options.push_back({"version", no_argument, nullptr, 'v'});
  options.push_back({});
  optind = 1;
  opterr = 0;
  for (int which = 0;;) {
    const int got = getopt_long(argc, argv, ":h", options.data(), &which);
    if (got == -1) break;
    if (got == 0) {
      auto& flag = flags[static_cast<std::size_t>(which)];
      flag.now = flag.given.emplace_back(flag.value == nullptr ? "1" : optarg);
    } else if (got == 'h') {
      std::printf("%s %s, a waggle service\n\nEvery flag is also an environment variable:\n", service.c_str(), version.c_str());
      for (const auto& each : flags) {
        const auto flag = std::string{"--"} + each.name + (each.value == nullptr ? "" : std::string{" "} + each.value);
        std::printf("  %-18s %-17s %s%s\n", flag.c_str(), each.variable, each.help,
                    each.now.empty() ? "" : (" [" + each.now + "]").c_str());
      }
      std::printf("  %-18s\n  %-18s\n", "--help", "--version");
      return 0;
    } else if (got == 'v') {
      std::printf("%s\n", version.c_str());
      return 0;
    } else {
      std::fprintf(stderr, "%s: %s '%s'; see --help\n", service.c_str(),
                   got == ':' ? "a value is missing after" : "there is no flag", argv[optind - 1]);
      return 2;
    }
  }
  if (optind == argc) return std::nullopt;
  std::fprintf(stderr, "%s: what is '%s'? A service takes flags only; see --help\n", service.c_str(), argv[optind]);
  return 2;
}

/// A flag's value as a number from `low` to `high`, or a message on standard error.
[[nodiscard]] inline std::optional<unsigned> number_of(const service_flag& flag, unsigned low, unsigned high) {
  unsigned out = 0;
  const auto* const end = flag.now.data() + flag.now.size();
  const auto [at, failed] = std::from_chars(flag.now.data(), end, out);
  if (failed == std::errc{} && at == end && out >= low && out <= high) return out;
  std::fprintf(stderr, "--%s (%s) is a number from %u to %u, not '%s'\n", flag.name, flag.variable, low, high, flag.now.c_str());
  return std::nullopt;
}

}  // namespace waggle::detail
