#include "gateway/routes/network_view.hpp"

#include <utility>

#include <waggle/wire/reader.hpp>

namespace waggle::gateway {
namespace {

using wire::kind;
using wire::reader;

/// Reads the view and remembers what was wrong in a list of commands, which has a reader of its own.
class view_reader {
 public:
  explicit view_reader(std::string_view bytes) : in_{bytes} {}

  result<network_view> read() {
    network_view out;
    bool listed = false;
    const bool whole = wire::read_entries(in_, [&](std::string_view key) {
      if (key == "revision") return text(out.revision);
      if (key == "broker") {
        return wire::read_entries(in_, [&](std::string_view member) {
          if (member == "instance") return text(out.broker_instance);
          if (member == "version") return text(out.broker_version);
          return in_.skip();
        });
      }
      if (key != "services") return in_.skip();
      listed = true;
      return each([&] { return service(out.services.emplace_back()); });
    });
    if (whole && listed && in_.at_end()) return out;
    if (!why_.empty()) return failure(status::internal, "the broker's list of services is malformed: " + why_);
    const std::string what = !in_.ok() ? in_.why() : listed ? "more bytes after the value" : "it has no services";
    return failure(status::internal,
                   "the broker's list of services is malformed at byte " + std::to_string(in_.offset()) + ": " + what);
  }

 private:
  bool service(service_view& out) {
    return wire::read_entries(in_, [&](std::string_view key) {
      if (key == "service") return text(out.service);
      if (key == "version") return text(out.version);
      if (key == "instances") return each([&] { return instance(out.instances.emplace_back()); });
      if (key != "commands") return in_.skip();
      std::string_view bytes;
      if (!in_.raw(bytes)) return false;
      auto commands = wire::read_commands(bytes);
      if (!commands) {
        why_ = std::move(commands.error().message);
        return false;
      }
      out.commands = std::move(*commands);
      return true;
    });
  }

  bool instance(instance_view& out) {
    return wire::read_entries(in_, [&](std::string_view key) {
      if (key == "instance") return text(out.instance);
      if (key == "slots") return in_.unsigned_integer(out.slots);
      if (key == "in_flight") return in_.unsigned_integer(out.in_flight);
      if (key == "draining") return in_.boolean(out.draining);
      return in_.skip();
    });
  }

  template <class OnElement>
  bool each(OnElement&& on_element) {
    std::uint32_t count = 0;
    if (!in_.array(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!on_element()) return false;
    }
    return true;
  }

  bool text(std::string& out) {
    std::string_view view;
    if (!in_.string(view)) return false;
    if (!wire::is_utf8(view)) return in_.fail("a string is not UTF-8");
    out = view;
    return true;
  }

  reader in_;
  std::string why_;
};

}  // namespace

result<network_view> read_network_view(std::string_view msgpack) { return view_reader{msgpack}.read(); }

}  // namespace waggle::gateway
