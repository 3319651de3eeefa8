#pragma once

#include "gateway/routes/openapi.hpp"
#include "gateway/routes/route_table.hpp"
#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

/// Who may make requests, as an OpenAPI document says it: everything of it that has to do with identity stands here.

/// `components.securitySchemes`; empty if the gateway believes nobody.
[[nodiscard]] json_value security_schemes(const openapi_options& with);

/// What a route asks for: one of these has to be there. Null: nothing is said.
[[nodiscard]] json_value security_of(const route& of, const openapi_options& with);

/// Answers to those who may not, and to those who may not now.
void add_refusals(const route& of, bool uses_claims, json_value& responses);

}  // namespace waggle::gateway
