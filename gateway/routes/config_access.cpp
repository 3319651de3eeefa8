// Whose credentials count, and whom routes are for.
#include <algorithm>
#include <filesystem>

#include <waggle/detail/duration.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/identity/key_file.hpp"
#include "gateway/routes/config_keys.hpp"
#include "gateway/routes/config_reader.hpp"

namespace waggle::gateway {
namespace {

constexpr const char* tokens_example = "tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}";
constexpr const char* access_example = "anyone, known, or a list of scopes, as in [orders:read]";
constexpr std::size_t access_scopes_max = 16;

/// Headers that say something else, so that a key in one would be taken for it, or be passed on by somebody.
bool is_taken(std::string_view header) {
  constexpr std::string_view others[] = {"authorization", "cookie", "host", "accept", "content-type", "content-length", "content-encoding", "transfer-encoding",
                                         "connection", "expect", "origin", "user-agent", "x-request-id", "traceparent", "waggle-key", "idempotency-key"};
  return std::any_of(std::begin(others), std::end(others), [&](auto each) { return front::syntax::equal_without_case(each, header); });
}

}  // namespace

void config_reader::read_tokens(const entry& at) {
  if (!is_first(at, "tokens")) return;
  std::vector<token_issuer> all;
  if (at.value.IsMap()) {
    if (auto issuer = read_issuer(at.value, at.line)) all.push_back(std::move(*issuer));
  } else if (at.value.IsSequence() && at.value.size() != 0 && at.value.size() <= token_issuers_max) {
    for (const auto& each : at.value) {
      if (!each.IsMap()) {
        wrong(each, std::string{"an issuer of tokens is no map; write "} + tokens_example);
      } else if (auto issuer = read_issuer(each, each.Mark().line + 1)) {
        const auto same = [&](const auto& other) { return other.issuer == issuer->issuer && other.audience == issuer->audience; };
        if (std::any_of(all.begin(), all.end(), same)) {
          wrong(each, "the issuer " + in_quotes(issuer->issuer) + " stands here twice; write one, with all its keys under keys");
        } else {
          all.push_back(std::move(*issuer));
        }
      }
    }
  } else {
    return wrong(at.line, std::string{"tokens is no map; write "} + tokens_example + ", or a list of up to 16 of them");
  }
  out_.identity.tokens = std::make_shared<const token_verifier>(std::move(all));
}

std::optional<token_issuer> config_reader::read_issuer(const YAML::Node& node, int line) {
  const auto known = entries(node, "tokens", keys::tokens);
  const auto has = [&](std::string_view key) { return known.find(key) != known.end(); };
  const auto errors_before = errors_.size();
  token_issuer out;
  if (has("keys")) {
    for (const std::string_view other : {"algorithm", "key"}) {
      if (has(other)) wrong(known.find(other)->second.key_line, "keys have their algorithms with them; remove " + std::string{other} + ", or keys");
    }
    if (const auto* keys = text(known, "keys", "file.keys.json")) out.keys = read_keys(*keys, known.at("keys").line);
  } else {
    for (const std::string_view needed : {"algorithm", "key"}) {
      if (!has(needed)) wrong(line, "tokens have no " + std::string{needed} + "; write " + tokens_example);
    }
    const auto* algorithm = text(known, "algorithm", "HS256");
    const auto which = algorithm != nullptr ? jws_algorithm_of(*algorithm) : std::nullopt;
    if (algorithm != nullptr && !which)
      wrong(known.at("algorithm").line, in_quotes(algorithm->substr(0, 64)) + " is no algorithm; write " + listed(keys::algorithms, " or "));
    const auto* key = text(known, "key", "env.WAGGLE_JWT_KEY");
    if (key != nullptr && which) out.keys = read_key(*key, *which, known.at("key").line);
  }
  if (const auto* issuer = text(known, "issuer", "https://login.example.com")) out.issuer = *issuer;
  if (const auto* audience = text(known, "audience", "shop")) out.audience = *audience;
  if (const auto* written = text(known, "leeway", "30s")) {
    const auto time = waggle::detail::parse_duration(*written);
    if (time && *time <= token_leeway_max && time->count() % 1000 == 0) {
      out.leeway = std::chrono::duration_cast<std::chrono::seconds>(*time);
    } else {
      wrong(known.at("leeway").line, in_quotes(written->substr(0, 64)) + " is no leeway; write seconds or minutes up to 5m, as in 30s");
    }
  }
  if (const auto* written = text(known, "scopes", "claim.permissions")) {
    const auto from = parse_source(*written);
    if (from && from->from == source::part::claim) {
      out.scopes_claim = {from->name};
      out.scopes_claim.insert(out.scopes_claim.end(), from->steps.begin(), from->steps.end());
    } else {
      wrong(known.at("scopes").line, in_quotes(written->substr(0, 64)) + " is no claim; write the one that lists scopes, as in claim.permissions");
    }
  }
  if (errors_.size() != errors_before || !out.keys) return std::nullopt;
  return out;
}

/// One secret or public key as a set of its own.
std::shared_ptr<const key_set> config_reader::read_key(const std::string& from, jws_algorithm algorithm, int line) {
  auto bytes = read_secret(from, line);
  if (!bytes) return nullptr;
  if (algorithm == jws_algorithm::hs256) {
    // What ends a line of a file is no part of a secret.
    while (bytes->ends_with('\n') || bytes->ends_with('\r')) bytes->pop_back();
  }
  auto key = algorithm == jws_algorithm::hs256 ? verification_key::from_secret(std::move(*bytes)) : verification_key::from_pem(algorithm, *bytes);
  if (!key) return wrong(line, key.error()), nullptr;
  auto out = std::make_shared<key_set>();
  out->keys.push_back({{}, std::move(*key)});
  return out;
}

std::shared_ptr<const key_set> config_reader::read_keys(const std::string& from, int line) {
  const auto bytes = read_secret(from, line);
  if (!bytes) return nullptr;
  auto keys = read_key_set(*bytes);
  if (!keys) {
    for (const auto& each : keys.error()) wrong(line, "the keys of " + from + " cannot be used: " + each);
    return nullptr;
  }
  for (const auto& each : keys->left_out) out_.warnings.push_back(name_ + ':' + std::to_string(line) + ": of the keys of " + from + ' ' + each);
  return std::make_shared<const key_set>(std::move(*keys));
}

/// The secret or keys under `env.NAME` or `file.PATH`; a path that is not absolute begins where the file of routes is.
std::optional<std::string> config_reader::read_secret(const std::string& text, int line) {
  const bool in_file = text.starts_with("file.");
  if (!in_file) {
    const auto from = parse_source(text);
    if (!from || from->from != source::part::env) {
      wrong(line, "the key is neither of the environment nor of a file; write env.NAME or file.PATH, and the key itself there");
      return std::nullopt;
    }
    auto value = environment_(from->name);
    if (value && !value->empty()) return value;
    wrong(line, "the variable " + from->name + " is not set; set it to the key");
    return std::nullopt;
  }
  const auto path = path_beside(text.substr(5));
  out_.files.push_back(path);
  auto out = file_text(path, key_set_bytes_max);
  if (!out) {
    wrong(line, "the file " + in_quotes(path) + " cannot be read; write the path of one that can");
  } else if (out->empty() || out->size() > key_set_bytes_max) {
    wrong(line, "the file " + in_quotes(path) + " is empty or larger than 256 KiB; write the key into it");
    out.reset();
  }
  return out;
}

void config_reader::read_api_keys(const entry& at) {
  constexpr const char* example = "api_keys: {file: api-keys.jsonl}";
  if (!at.value.IsMap()) return wrong(at.line, std::string{"api_keys is no map; write "} + example);
  if (!is_first(at, "api_keys")) return;
  const auto known = entries(at.value, "api_keys", keys::api_keys);
  api_keys_config out;
  if (const auto* header = text(known, "header", "X-Api-Key")) {
    out.header = *header;
    if (!front::syntax::is_token(*header) || is_taken(*header))
      wrong(known.at("header").line, in_quotes(header->substr(0, 64)) + " is no header for API keys; write one of their own, as in X-Api-Key");
  }
  if (known.find("file") == known.end()) return wrong(at.line, std::string{"api_keys have no file; write "} + example);
  const auto* file = text(known, "file", "api-keys.jsonl");
  if (file == nullptr) return;
  const auto path = path_beside(*file);
  out_.files.push_back(path);
  const auto line = known.at("file").line;
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed))
    return wrong(line, "there is no file " + in_quotes(path) + "; make it, as with waggle keys new NAME --file " + *file);
  auto keys = read_key_file(path);
  if (!keys && !keys.error().faulty) return wrong(line, keys.error().why + "; write the path of a file that can be read");
  if (!keys) return errors_.push_back(keys.error().why);  // it says file and line itself
  out.keys = std::make_shared<const api_key_set>(std::move(*keys));
  out_.identity.api_keys = std::move(out);
}

/// `anyone`, `known` or scopes.
std::optional<access_rule> config_reader::read_rule(const entry& at, const char* what) {
  access_rule out;
  const auto no_rule = [&](int line) {
    wrong(line, std::string{what} + " is for nobody; write " + access_example);
    return std::nullopt;
  };
  if (at.value.IsScalar()) {
    if (at.value.Scalar() != "anyone" && at.value.Scalar() != "known") return no_rule(at.line);
    out.is = at.value.Scalar() == "known" ? access_rule::who::known : access_rule::who::anyone;
  } else if (at.value.IsSequence() && at.value.size() != 0) {
    out.is = access_rule::who::scoped;
    if (at.value.size() > access_scopes_max) return wrong(at.line, std::string{what} + " needs more than 16 scopes; write fewer"), std::nullopt;
    for (const auto& each : at.value) {
      const std::string scope = each.IsScalar() ? each.Scalar() : "";
      if (!is_scope(scope)) return wrong(each, in_quotes(scope.substr(0, 64)) + " is no scope; write up to 128 visible characters, as in orders:read"), std::nullopt;
      if (std::find(out.scopes.begin(), out.scopes.end(), scope) != out.scopes.end()) return wrong(each, in_quotes(scope) + " stands here twice; remove one"), std::nullopt;
      out.scopes.push_back(scope);
    }
  } else {
    return no_rule(at.line);
  }
  if (out.is != access_rule::who::anyone) restricted_.push_back(name_ + ':' + std::to_string(at.line));
  return out;
}

void config_reader::read_access(const entry& at) {
  if (!is_first(at, "access")) return;
  auto& out = out_.access;
  if (!at.value.IsMap()) {
    if (const auto rule = read_rule(at, "access")) out = {*rule, *rule, *rule, *rule};
    return;
  }
  const auto known = entries(at.value, "access", keys::access);
  const auto rule = [&](const char* key, access_rule& to) {
    const auto found = known.find(std::string_view{key});
    if (found == known.end()) return;
    if (auto read = read_rule(found->second, key)) to = std::move(*read);
  };
  rule("routes", out.routes);
  out.operations = out.documents = out.metrics = out.routes;
  rule("operations", out.operations);
  rule("documents", out.documents);
  rule("metrics", out.metrics);
}

/// That whom something is for could be known.
void config_reader::check_access() {
  if (setting_places_.contains("tokens") || setting_places_.contains("api_keys")) return;
  for (const auto& place : restricted_)
    errors_.push_back(place + ": this is for nobody, for nothing says whose credentials count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}, or api_keys: {file: api-keys.jsonl}");
  for (const auto& [place, claim] : claims_)
    errors_.push_back(place + ": " + claim + " is of a token, and nothing says whose tokens count; write tokens: {algorithm: HS256, key: env.WAGGLE_JWT_KEY}");
}

}  // namespace waggle::gateway
