#pragma once

#include <string>
#include <string_view>

#include "gateway/routes/route_table.hpp"

namespace waggle::gateway {

/// The routes as an OpenAPI 3.1 document, in JSON. Schemas are the commands' own, one component each; a route whose
/// command no worker serves is listed with what its configuration says. Equal routes give equal text.
[[nodiscard]] std::string openapi_document(const route_table& table, std::string_view title, std::string_view version);

}  // namespace waggle::gateway
