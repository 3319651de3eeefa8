#pragma once

#include <string>

#include "gateway/routes/route_table.hpp"

namespace waggle::gateway {

struct openapi_options {
  std::string title;
  std::string version;
  bool tokens = false;         ///< JSON Web Tokens are believed
  std::string api_key_header;  ///< that may hold an API key; empty: there are none
  bool events = false;  ///< GET /events lets out something
};

/// The routes as an OpenAPI 3.1 document, in JSON, whatever manifests say. Schemas are the commands' own, one component each; a route whose
/// command no worker serves is listed with what its configuration says. Equal routes give equal text, and the name of an operation depends on
/// its own route only.
[[nodiscard]] std::string openapi_document(const route_table& table, const openapi_options& with);

}  // namespace waggle::gateway
