#pragma once

#include <string>
#include <utility>

#include <waggle/detail/handler.hpp>
#include <waggle/wire/manifest.hpp>

namespace waggle {

/// What a service says of one of its commands; goes into its manifest.
class command {
 public:
  /// One sentence, for OpenAPI and `waggle describe`.
  command& doc(std::string text) { return manifest_.doc = std::move(text), *this; }
  /// A route of the gateway, as in "GET /things/{id}". May be called several times.
  command& http(std::string route) { return manifest_.http.push_back(std::move(route)), *this; }
  /// Changes nothing: may run twice, and is retried when a worker dies.
  command& safe() { return manifest_.retry = retry_class::safe, *this; }
  /// Running it twice leaves the same state as once.
  command& idempotent() { return manifest_.retry = retry_class::idempotent, *this; }
  /// Sends parts (`context::part`) before its reply.
  command& streams() { return manifest_.streams = true, *this; }
  /// The handler runs on the thread of the connection, one at a time, instead of in the pool: that spares two thread switches, which cost more
  /// than a small answer does. For what ends within microseconds and waits for nothing: no calls, no parts, no files, no locks that are held
  /// for long. While it runs, no other quick handler does, and the broker hears no pulse.
  /// Its calls have slots of their own: they do not wait for those of the pool. Where several workers serve it, calls that come together go to
  /// one of them eight at a time.
  command& quick() { return manifest_.quick = true, *this; }
  /// An actor: needs a key, and calls of one key run one at a time, in order, on one worker for as long as that lives. Commands of one
  /// group share their keys: "account.pay" and "account.close" of one account exclude each other when both are keyed("account").
  command& keyed(std::string group = {}) {
    manifest_.needs_key = true;
    manifest_.group = std::move(group);
    return *this;
  }

 private:
  friend class service;
  command_manifest manifest_;
  detail::bytes_handler handler_;
};

}  // namespace waggle
