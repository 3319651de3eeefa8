#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/traffic/ip_address.hpp"
#include "gateway/traffic/rate_table.hpp"

namespace waggle::gateway {

/// By what requests are counted together.
struct rate_by {
  enum class kind : std::uint8_t {
    address,  ///< the client's: an IPv4 address, the /64 of an IPv6 one
    key,      ///< the API key
    claim,    ///< of the verified token
    route,    ///< its method and path as they are written
  };
  kind is = kind::address;
  std::vector<std::string> claim;  ///< from map to map
  /// As it is written: "address", "claim.sub".
  [[nodiscard]] std::string written() const;
  friend bool operator==(const rate_by&, const rate_by&) = default;
};

/// Who makes a request, as far as it is known.
struct rate_subject {
  const ip_address& address;
  std::string_view key;    ///< what names the API key, never the key itself; empty: none
  std::string_view route;  ///< as in "GET /orders/{id}"
  /// The text of a claim of the verified token; may be empty: there is no token.
  std::function<std::optional<std::string>(const std::vector<std::string>&)> claim;
};

/// One limit, and its buckets.
struct rate_rule {
  /// `named`: visible ASCII without '"' and '\'.
  rate_rule(std::string named, std::vector<rate_by> counted_by, std::shared_ptr<rate_table> its);

  std::string name;
  std::vector<rate_by> by;
  std::shared_ptr<rate_table> buckets;
  /// As in RateLimit-Policy: `"address-1m";q=100;w=60`, with `waggle-burst` if that is not the limit.
  std::string policy;

  /// The bucket that a request counts in. Who has no API key, or not the claim, is counted by address: anonymous clients share no bucket, and nobody gets
  /// rid of a limit by leaving something out.
  [[nodiscard]] std::string key_of(const rate_subject& of) const;
};

/// What limits have said of a request so far, for its answer's headers (draft-ietf-httpapi-ratelimit-headers-11): all policies, and how
/// much is left of the one that would end first. The rules outlive it.
class rate_report {
 public:
  void add(const rate_rule& of, const rate_verdict& said);
  [[nodiscard]] bool empty() const { return policies_.empty(); }
  /// RateLimit-Policy: a list of policies.
  [[nodiscard]] const std::string& policies() const { return policies_; }
  /// RateLimit: `"address-1m";r=12;t=1`. `t` is the time until there is one more, in seconds, rounded up.
  [[nodiscard]] std::string remaining() const;

 private:
  std::string policies_;
  const rate_rule* tightest_ = nullptr;
  rate_verdict verdict_;
};

/// Why a request is refused.
struct rate_refusal {
  std::vector<std::string> violated;       ///< names of rules
  std::chrono::nanoseconds retry_after{};  ///< until all of them would let one request pass
};

/// Counts a request in all rules, or, if one of them refuses it, in none. What they say is added to `report` either way.
[[nodiscard]] std::optional<rate_refusal> count_request(front::instant now, std::span<const rate_rule> rules, const rate_subject& of,
                                                        rate_report& report);

}  // namespace waggle::gateway
