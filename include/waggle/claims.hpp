#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <waggle/context.hpp>
#include <waggle/fields.hpp>
#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

namespace waggle {

/// What a gateway has verified of who made the request that a handler runs for: the claims of his token (RFC 7519), or those of his API key (`sub`, `name`,
/// `scope` and what was configured). With them a service can decide itself.
///
///     shop.on("order.get", [](const wanted& in, waggle::context& with) -> waggle::result<order> {
///       const auto who = with.claims();
///       if (!who.has_scope("orders:read")) return waggle::failure(waggle::status::permission_denied, "the scope orders:read is needed");
///       return find(in.id, who.subject());
///     });
///
/// They come in the call's header `claims`, and do not go along by themselves with what a handler calls. In a network with keys only peers whose role says so can write that
/// header (broker/PROTOCOL.md, "Security"); in one without, whoever is on it can.
class caller_claims {
 public:
  /// Nobody, for a text that is no object in JSON.
  explicit caller_claims(std::string_view json) {
    if (json.empty()) return;
    auto bytes = wire::json_to_msgpack(json);
    if (bytes && wire::reader{*bytes}.peek() == wire::kind::map) msgpack_ = std::move(*bytes);
  }

  /// False: he has not said who he is, or the call came from elsewhere than a gateway.
  [[nodiscard]] bool known() const { return !msgpack_.empty(); }
  /// `sub`: who he is at his issuer, or `key:ID`.
  [[nodiscard]] std::string subject() const { return text("sub"); }
  /// Whether `scope` (a text with spaces between scopes, or a list of texts), or else `scp`, has it.
  [[nodiscard]] bool has_scope(std::string_view scope) const {
    auto listed = raw("scope");
    if (listed.empty()) listed = raw("scp");
    wire::reader in{listed};
    std::string_view each;
    if (in.peek() == wire::kind::string) {
      if (!in.string(each) || scope.empty() || scope.find(' ') != scope.npos) return false;
      return (' ' + std::string{each} + ' ').find(' ' + std::string{scope} + ' ') != std::string::npos;
    }
    std::uint32_t count = 0;
    if (in.peek() != wire::kind::array || !in.array(count)) return false;
    for (; count > 0; --count) {
      if (in.peek() != wire::kind::string ? !in.skip() : !in.string(each)) return false;
      if (!each.empty() && each == scope) return true;
      each = {};
    }
    return false;
  }
  /// A claim that is a text; empty if there is none, or it is something else.
  [[nodiscard]] std::string text(std::string_view name) const {
    const auto value = raw(name);
    wire::reader in{value};
    std::string_view out;
    return in.peek() == wire::kind::string && in.string(out) ? std::string{out} : std::string{};
  }
  /// All of them as a type of the service's own; INVALID_ARGUMENT if they do not fit it. Claims that it does not have are stepped over.
  template <payload_type Type>
  [[nodiscard]] result<Type> as() const {
    return read_payload<Type>(known() ? std::string_view{msgpack_} : std::string_view{"\x80"});
  }

 private:
  /// As msgpack; empty if there is no such claim.
  [[nodiscard]] std::string_view raw(std::string_view name) const {
    std::string_view out;
    wire::reader in{msgpack_};
    if (!known()) return out;
    wire::read_entries(in, [&](std::string_view key) {
      std::string_view value;
      if (!in.raw(value)) return false;
      if (key == name) out = value;
      return true;
    });
    return out;
  }

  std::string msgpack_;  ///< a map, or empty
};

inline caller_claims context::claims() const { return caller_claims{header("claims")}; }

}  // namespace waggle
