#pragma once

#include "gateway/identity/access.hpp"

namespace waggle::gateway {

/// Whom what is for, unless it says so itself: all routes, also those of manifests; and what the gateway answers itself.
struct access_config {
  access_rule routes;      ///< also of `GET /events`, unless `events` says another
  access_rule operations;  ///< /operations/ID
  access_rule documents;   ///< /openapi.json, /docs
  access_rule metrics;     ///< /metrics
};

}  // namespace waggle::gateway
