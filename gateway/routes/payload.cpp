#include "gateway/routes/payload.hpp"

#include <algorithm>
#include <optional>

#include <waggle/wire/json.hpp>
#include <waggle/wire/reader.hpp>

#include "gateway/front/http_syntax.hpp"
#include "gateway/routes/body.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {
namespace {

using part = field_source::part;

std::size_t segment_of(const path_pattern& path, const std::string& parameter) {
  for (std::size_t i = 0; i < path.segments.size(); ++i) {
    if (path.segments[i].parameter && path.segments[i].text == parameter) return i;
  }
  return 0;
}

}  // namespace

payload_plan::payload_plan(const route_config& route, std::shared_ptr<const text_rules> rules)
    : command_{route.command}, rules_{std::move(rules)} {
  if (const auto* bindings = std::get_if<std::vector<field_binding>>(&route.fields)) {
    for (const auto& each : *bindings) {
      fields_.push_back({each, segment_of(route.path, each.source.name), &rule_for(each.field)});
      reads_query_ = reads_query_ || each.source.from == part::query;
      reads_body_ = reads_body_ || each.source.from == part::body;
    }
    return;
  }
  if (std::holds_alternative<route_config::whole_body>(route.fields)) {
    shape_ = shape::whole_body;
    reads_body_ = true;
    return;
  }
  reads_query_ = route.method == "GET" || route.method == "DELETE";
  reads_body_ = !reads_query_;
  shape_ = reads_query_ ? shape::usual_query : shape::usual_body;
  for (const auto& name : route.path.parameters())
    parameters_.push_back({name, segment_of(route.path, name), &rule_for(name)});
}

const text_rule& payload_plan::rule_for(std::string_view field) const {
  static const text_rule any;
  if (!rules_) return any;
  const auto at = rules_->find(field);
  return at == rules_->end() ? any : at->second;
}

/// One request on its way to a payload.
class payload_plan::attempt {
 public:
  attempt(const payload_plan& plan, const front::request& in, const decoded_path& path)
      : plan_{plan}, in_{in}, path_{path}, query_{plan.reads_query_ ? in.query : std::string_view{}} {}

  tl::expected<std::string, front::response> run() {
    if (query_.why() != nullptr) return refused(400, std::string{"the query cannot be read: "} + query_.why());
    if (!in_.body.empty() && !plan_.reads_body_) return refused(400, "this route takes no body");
    if (!in_.body.empty()) {
      if (auto wrong = read_body()) return tl::unexpected{std::move(*wrong)};
    }
    switch (plan_.shape_) {
      case shape::usual_query: write_query(); break;
      case shape::usual_body: write_body(); break;
      case shape::whole_body: out_ = has_body_ ? std::move(body_) : std::string{"\x80"}; break;
      case shape::bound: write_fields(); break;
    }
    if (wrong_.problems.empty()) return std::move(out_);
    wrong_.code = status::invalid_argument;
    wrong_.message = "the request cannot be turned into what " + plan_.command_ + " takes";
    return tl::unexpected{problem_of(wrong_)};
  }

 private:
  static tl::unexpected<front::response> refused(int http_status, std::string_view detail) {
    return tl::unexpected{refusal(http_status, detail)};
  }

  /// The body as msgpack that keeps the rules, or the answer to one that does not.
  std::optional<front::response> read_body() {
    if (const auto coding = header("content-encoding");
        coding && !front::syntax::equal_without_case(*coding, "identity")) {
      return refusal(415, "a body comes as it is; leave Content-Encoding away");
    }
    switch (body_format_of(header("content-type"))) {
      case body_format::json: {
        auto bytes = wire::json_to_msgpack(in_.body);
        if (!bytes) return problem_of({status::invalid_argument, "the body is " + bytes.error().message});
        body_ = std::move(*bytes);
        break;
      }
      case body_format::msgpack: {
        std::size_t offset = 0;
        if (const char* why = wrong_with_msgpack(in_.body, offset)) {
          return problem_of({status::invalid_argument,
                             "the body is not acceptable msgpack at byte " + std::to_string(offset) + ": " + why});
        }
        body_ = in_.body;
        break;
      }
      case body_format::other: {
        auto out = refusal(415, "a body is application/json or application/vnd.msgpack; say which in Content-Type");
        out.headers.emplace_back("Accept", "application/json, application/vnd.msgpack, application/msgpack");
        return out;
      }
    }
    has_body_ = true;
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
    for (const auto& each : in_.headers) {
      if (front::syntax::equal_without_case(each.name, name)) return each.value;
    }
    return std::nullopt;
  }

  /// Writes the value of what came under one name, or notes what is wrong with it.
  bool convert(const text_rule& rule, const std::string& field, std::string_view where, std::string_view name) {
    const char* const expected = rule.append(value_, texts_);
    if (expected == nullptr) return true;
    if (wrong_.problems.size() < wire::error_problems_max) {
      wrong_.problems.push_back({field, std::string{where} + " " + std::string{name} + ": " + expected});
    }
    return false;
  }

  void write(map_builder& map, const text_rule& rule, const std::string& field, std::string_view where,
             std::string_view name) {
    value_.clear();
    if (!convert(rule, field, where, name)) return;
    map.key(field);
    out_ += value_;
  }

  void write_parameters(map_builder& map) {
    for (const auto& each : plan_.parameters_) {
      texts_.assign(1, path_[each.segment]);
      write(map, *each.rule, each.name, "path parameter", each.name);
    }
  }

  [[nodiscard]] bool is_parameter(std::string_view name) const {
    return std::any_of(plan_.parameters_.begin(), plan_.parameters_.end(),
                       [&](const auto& each) { return each.name == name; });
  }

  void write_query() {
    map_builder map{out_};
    write_parameters(map);
    const auto& all = query_.parameters();
    for (std::size_t i = 0; i < all.size();) {
      const auto name = all[i].first;
      texts_.clear();
      for (; i < all.size() && all[i].first == name; ++i) texts_.push_back(all[i].second);
      if (is_parameter(name)) continue;
      write(map, plan_.rule_for(name), std::string{name}, "query parameter", name);
    }
    map.finish();
  }

  void write_body() {
    if (plan_.parameters_.empty()) {
      out_ = has_body_ ? std::move(body_) : std::string{"\x80"};
      return;
    }
    map_builder map{out_};
    write_parameters(map);
    wire::reader in{body_};
    if (has_body_ && in.peek() != wire::kind::map) {
      wrong_.problems.push_back({"", "body: expected an object"});
    } else if (has_body_) {
      std::uint32_t count = 0;
      in.map(count);
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto from = in.offset();
        std::string_view name;
        const bool text = in.peek() == wire::kind::string;
        text ? in.string(name) : in.skip();
        in.skip();
        if (!text || !is_parameter(name)) map.entry(std::string_view{body_}.substr(from, in.offset() - from));
      }
    }
    map.finish();
  }

  void write_fields() {
    map_builder map{out_};
    for (const auto& each : plan_.fields_) {
      const auto& [field, source, otherwise] = each.binding;
      texts_.clear();
      switch (source.from) {
        case part::path:
          texts_.push_back(path_[each.segment]);
          write(map, *each.rule, field, "path parameter", source.name);
          continue;
        case part::query: query_.find(source.name, texts_); break;
        case part::header:
          for (const auto& [name, value] : in_.headers) {
            if (front::syntax::equal_without_case(name, source.name)) texts_.push_back(value);
          }
          break;
        case part::body:
          if (const auto value = has_body_ ? find_in(body_, source.steps) : std::nullopt) {
            map.key(field);
            out_ += *value;
            continue;
          }
          break;
        case part::constant: break;
      }
      if (!texts_.empty()) {
        write(map, *each.rule, field, source.from == part::query ? "query parameter" : "header", source.name);
      } else if (otherwise) {
        map.key(field);
        out_ += *otherwise;
      }
    }
    map.finish();
  }

  const payload_plan& plan_;
  const front::request& in_;
  const decoded_path& path_;
  decoded_query query_;
  bool has_body_ = false;
  std::string body_;
  std::string out_;
  std::string value_;
  std::vector<std::string_view> texts_;
  error wrong_;
};

tl::expected<std::string, front::response> payload_plan::payload(const front::request& in,
                                                                 const decoded_path& path) const {
  return attempt{*this, in, path}.run();
}

}  // namespace waggle::gateway
