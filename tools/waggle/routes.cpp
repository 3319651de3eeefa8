// What the routes of files and services are, without a gateway and without sending anything.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <waggle/wire/json.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/config.hpp"
#include "gateway/routes/network_view.hpp"
#include "gateway/routes/router.hpp"
#include "tools/waggle/operations_view.hpp"
#include "tools/waggle/routes_view.hpp"
#include "tools/waggle/session.hpp"

namespace waggle::cli {
namespace {

/// What a configuration that cannot be read exits with, as waggle-gateway does.
constexpr int exit_faulty = 1;

struct routes_flags {
  std::vector<std::string> files;
  bool offline = false;
  std::string method, url, body, claims;
  std::vector<std::string> headers;
};

/// A msgpack value for a JSON text of our own making.
std::string packed(const std::string& json) { return wire::json_to_msgpack(json).value(); }

/// The configuration, or nothing after its faults have been told.
std::optional<gateway::config> read_config(const session& with, const std::vector<std::string>& files) {
  auto out = gateway::load_config(files);
  if (out) return std::move(*out);
  for (const auto& each : out.error()) fmt::print(stderr, "{}\n", printable(each));
  if (with.output == form::json) with.print_value(packed(R"({"ok":false})"), form::json);
  return std::nullopt;
}

int check(const session& with, const routes_flags& given) {
  const auto config = gateway::load_config(given.files);
  if (with.output_or(form::table) != form::table) {
    std::vector<std::string> errors;
    if (!config) errors = config.error();
    std::string bytes;
    wire::writer out{bytes};
    out.map(3);
    out.string("ok");
    out.boolean(config.has_value());
    out.string("routes");
    out.unsigned_integer(config ? config->routes.size() : 0);
    out.string("errors");
    append_payload(bytes, errors);
    with.print_value(bytes, form::json);
  } else if (config) {
    with.print(counted(config->routes.size(), "route") + ", and nothing is wrong\n");
  } else {
    for (const auto& each : config.error()) fmt::print(stderr, "{}\n", printable(each));
  }
  return config ? 0 : exit_faulty;
}

/// The router of the files' routes and, if a broker answers, of the services'; nothing after it has been told why.
std::optional<gateway::router> router_of(const session& with, const routes_flags& given, const gateway::config& config, int& exit_code) {
  std::optional<gateway::router> out;
  try {
    out.emplace(config);
  } catch (const std::invalid_argument& e) {
    fmt::print(stderr, "{}\n", printable(e.what()));
    exit_code = exit_faulty;
    return std::nullopt;
  }
  if (given.offline) return out;
  std::string asked;
  append_payload(asked, nothing{});
  const auto bytes = client{with.caller()}.call_bytes("waggle.services", std::move(asked), with.budget());
  const auto network = bytes ? gateway::read_network_view(*bytes) : tl::unexpected{bytes.error()};
  if (network) {
    for (const auto& each : out->update(*network)) with.note(printable(each));
  } else if (given.files.empty()) {
    exit_code = with.fail(network.error());
    return std::nullopt;
  } else {
    with.note("only the routes of files are shown: " + network.error().message + " (--offline does not ask)");
  }
  return out;
}

int list(const session& with, const routes_flags& given) {
  const auto config = read_config(with, given.files);
  if (!config) return exit_faulty;
  int exit_code = 0;
  const auto router = router_of(with, given, *config, exit_code);
  if (!router) return exit_code;
  const auto all = listed_routes(*router);
  if (with.output_or(form::table) != form::table) {
    with.print_value(packed(routes_json(all)), form::json);
  } else if (all.empty()) {
    with.note("there are no routes");
  } else {
    with.print(routes_text(all, with.out()));
  }
  return 0;
}

/// "http://host:8800/path?query#part" or "/path?query": what a client would send of it.
std::string target_of(std::string url) {
  url.resize(std::min(url.find('#'), url.size()));
  if (const auto scheme = url.find("://"); scheme != url.npos && url.find('/') == scheme + 1) {
    const auto path = url.find_first_of("/?", scheme + 3);
    url = path == url.npos ? "/" : url.substr(path);
    if (url.starts_with('?')) url.insert(0, "/");
  }
  return url;
}

int explain(const session& with, routes_flags& given) {
  std::transform(given.method.begin(), given.method.end(), given.method.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  const auto target = target_of(given.url);
  if (!target.starts_with('/')) return with.misuse("\"" + given.url + "\" is no address; write one, as in /things/7?tag=a");
  front::request in;
  in.method = given.method;
  in.path = std::string_view{target}.substr(0, target.find('?'));
  if (const auto mark = target.find('?'); mark != target.npos) in.query = std::string_view{target}.substr(mark + 1);
  std::vector<std::pair<std::string, std::string>> headers;
  for (const auto& each : given.headers) {
    const auto colon = std::min(each.find(':'), each.size());
    auto name = front::syntax::lower(each.substr(0, colon));
    if (colon == each.size() || !front::syntax::is_token(name)) return with.misuse("-H takes 'Name: value', not \"" + each + "\"");
    headers.emplace_back(std::move(name), std::string{front::syntax::trim(std::string_view{each}.substr(colon + 1))});
  }
  for (const auto& [name, value] : headers) in.headers.push_back({name, value});
  std::string body;
  if (!given.body.empty()) {
    auto bytes = read_argument(given.body, true, with.budget());
    if (!bytes) return with.fail(bytes.error());
    body = std::move(*bytes);
    in.body = body;
  }
  std::string claims;
  if (!given.claims.empty()) {
    auto bytes = wire::json_to_msgpack(given.claims);
    if (!bytes || !given.claims.starts_with('{')) return with.misuse("--claims takes a JSON object, as in {\"sub\":\"ada\"}");
    claims = std::move(*bytes);
  }
  const auto config = read_config(with, given.files);
  if (!config) return exit_faulty;
  int exit_code = 0;
  const auto router = router_of(with, given, *config, exit_code);
  if (!router) return exit_code;
  gateway::request_context context;
  context.claims = claims;
  const auto what = router->explain(in, context);
  if (with.output_or(form::table) != form::table) {
    with.print_value(packed(explanation_json(what, *config)), form::json);
  } else {
    with.print(explanation_text(what, *config, with.out()));
  }
  return 0;
}

void add_sources(CLI::App& flags, routes_flags& given) {
  flags.add_option("--routes", given.files, "A YAML file of routes, or a directory of them; may be given several times")
      ->envname("WAGGLE_ROUTES")
      ->type_name("FILE|DIR")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  flags.add_flag("--offline", given.offline, "Only the routes of files: do not ask the broker for those of services");
}

}  // namespace

command make_routes(CLI::App& app, session& with) {
  const auto given = std::make_shared<routes_flags>();
  auto* flags = app.add_subcommand("routes", "Check, list and explain HTTP routes");
  flags->require_subcommand(1);
  flags->footer(
      "Examples:\n"
      "  waggle routes check routes/\n"
      "  waggle routes ls --routes routes.yaml\n"
      "  waggle routes explain GET '/hi/Ada?lang=en' --routes routes.yaml\n"
      "  waggle routes schema > routes.schema.json");

  auto* checked = flags->add_subcommand("check", "Tell all that is wrong with files of routes");
  checked->add_option("FILE", given->files, "YAML files, or directories of them")->type_name("")->required();
  checked->footer("Exit code 1 if anything is wrong.\n\nExamples:\n  waggle routes check routes.yaml\n  waggle routes check routes/ --json");

  auto* listing = flags->add_subcommand("ls", "List the routes of files and services");
  add_sources(*listing, *given);
  listing->footer("Examples:\n  waggle routes ls\n  waggle routes ls --routes routes/ --offline");

  auto* explained = flags->add_subcommand("explain", "Tell what a request would come to, without sending anything");
  explained->add_option("METHOD", given->method, "GET, POST, PUT, PATCH or DELETE")->type_name("")->required();
  explained->add_option("URL", given->url, "A path with its query; scheme and host are not looked at")->type_name("")->required();
  explained->add_option("-H", given->headers, "A header; may be given several times")
      ->type_name("'NAME: VALUE'")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  explained->add_option("-d", given->body, "The body: text, @FILE, or -")->type_name("BODY");
  explained->add_option("--claims", given->claims, "What the request's token would say")->type_name("JSON");
  add_sources(*explained, *given);
  explained->footer(
      "Examples:\n"
      "  waggle routes explain GET /hi/Ada --routes routes.yaml\n"
      "  waggle routes explain POST /orders -H 'X-Api-Version: 2' -d '{\"item\":7}'");

  auto* schema = flags->add_subcommand("schema", "Print the JSON Schema of a file of routes, for editors");
  schema->footer("Example:\n  waggle routes schema > routes.schema.json");

  return {flags, [=, &with] {
            if (checked->parsed()) return check(with, *given);
            if (listing->parsed()) return list(with, *given);
            if (explained->parsed()) return explain(with, *given);
            return with.print(gateway::config_schema()), 0;
          }};
}

}  // namespace waggle::cli
