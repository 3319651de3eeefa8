#pragma once

#include "gateway/routes/route_table.hpp"
#include "gateway/routes/schema_components.hpp"

namespace waggle::gateway {

/// Both forms of one value, as a `content` of an OpenAPI document.
[[nodiscard]] json_value openapi_content(const json_value& schema);

/// The route is one call whose command may be kept and run later: because it says so, or because the client may ask for it. (Reading needs no
/// such thing: there the document leaves it out.)
[[nodiscard]] bool may_run_later(const route& of);

/// The `responses` of a route: its reply, or what stands for it, and problems. `uses_claims`: it looks at a token.
[[nodiscard]] json_value openapi_answers(const route& of, bool uses_claims, schema_components& schemas);

/// What all documents have in `components` for them, and for the answers of built-in paths.
void add_answer_components(json_value& components, schema_components& schemas);

}  // namespace waggle::gateway
