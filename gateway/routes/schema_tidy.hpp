#pragma once

#include <functional>
#include <string>

#include "gateway/routes/text_rule.hpp"

namespace waggle::gateway {

/// A schema as a manifest has it, whatever that is, made into one of JSON Schema 2020-12 that a document can hold: what is no keyword, what has a
/// form that its keyword cannot have, and references that lead out of it, nowhere or in a circle are left out, so that it allows more and never less. What is no
/// schema at all allows anything. Identifiers and dialects (`$id`, `$schema`, anchors) go, too: within a document they would mean something else.
[[nodiscard]] json_value tidied(const json_value& schema);

/// Calls `to` with each schema that stands directly within a tidied one, which it may change.
void for_each_subschema(json_value& tidy, const std::function<void(json_value&)>& to);

/// References of a tidied schema to its own root become references to `root`, as in "#/components/schemas/NAME". Those to components stay.
void rebase(json_value& tidy, const std::string& root);

}  // namespace waggle::gateway
