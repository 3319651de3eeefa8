#include "gateway/live_tls.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "gateway/routes/config_tls.hpp"

namespace waggle::gateway {
namespace {

using std::chrono::sys_seconds;

std::string shown(sys_seconds when) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(when))); }

}  // namespace

live_tls::live_tls(tls_flags flags, bool is_served, std::function<void(std::string_view)> say)
    : flags_{std::move(flags)}, is_served_{is_served}, say_{std::move(say)} {}

tl::expected<live_tls::context_ptr, std::vector<std::string>> live_tls::make(const config& from) {
  const auto wrong = [](std::string what) { return tl::unexpected{std::vector{std::move(what)}}; };
  auto settings = from.tls ? from.tls->settings : front::tls_settings{};
  auto warnings = from.tls ? from.tls->warnings : std::vector<std::string>{};
  if (!flags_.certificate.empty()) {
    warnings.clear();
    auto pair = read_identity(flags_.certificate, flags_.key, warnings);
    if (!pair) return wrong("--certificate: " + pair.error());
    settings.identities = {std::move(*pair)};
  }
  if (settings.identities.empty()) {
    if (!is_served_) return context_ptr{};
    return wrong("--https has no certificate; name one with --certificate and --certificate-key, or with tls: in the routes");
  }
  if (context_ && settings == settings_) return context_;
  auto made = front::tls_context::make(settings);
  if (!made) return wrong("--certificate: " + described(made.error(), flags_.certificate, flags_.key));
  if (is_served_) tell(**made, warnings);
  settings_ = std::move(settings);
  context_ = std::move(*made);
  return context_;
}

void live_tls::tell(const front::tls_context& of, const std::vector<std::string>& warnings) const {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  for (const auto& each : warnings) say_(each);
  for (const auto& each : of.certificates()) {
    say_(fmt::format("shows {} for {} until {}", each.subject, each.names.empty() ? "no name" : fmt::format("{}", fmt::join(each.names, ", ")),
                     shown(each.not_after)));
    if (each.not_after <= now) say_("the certificate of " + each.subject + " has expired, and clients refuse it; get a new one");
    if (each.not_before > now) say_("the certificate of " + each.subject + " is not valid before " + shown(each.not_before) + "; clients refuse it");
  }
}

live_routes::part live_tls::part_of(std::function<void(context_ptr)> use) {
  live_routes::part out;
  if (!flags_.certificate.empty()) out.files = {flags_.certificate, flags_.key};
  out.prepare = [this, use = std::move(use)](const config& from) -> tl::expected<std::function<void()>, std::vector<std::string>> {
    auto made = make(from);
    if (!made) return tl::unexpected{std::move(made.error())};
    return [use, context = std::move(*made)] {
      if (context) use(context);
    };
  };
  return out;
}

}  // namespace waggle::gateway
