#include "gateway/routes/payload.hpp"

#include <algorithm>
#include <utility>

#include <waggle/wire/reader.hpp>

#include "gateway/routes/body.hpp"

namespace waggle::gateway {

payload_plan::payload_plan(const payload_config& from, const std::string& method, const path_pattern& path,
                           const step_numbers& steps, std::shared_ptr<const command_info> command)
    : command_{std::move(command)} {
  if (const auto* value = std::get_if<value_config>(&from)) {
    const json_value* schema = command_ && command_->request.is_object() ? &command_->request : nullptr;
    value_.emplace(*value, path, steps, schema, schema);
    needs_ = value_->needs();
    return;
  }
  const bool query = method == "GET" || method == "DELETE";
  shape_ = query ? shape::usual_query : shape::usual_body;
  needs_.query = query;
  needs_.body = !query;
  for (const auto& name : path.parameters()) parameters_.push_back({name, segment_of(path, name), &rule_for(name)});
}

const text_rule& payload_plan::rule_for(std::string_view field) const {
  static const text_rule any;
  if (!command_) return any;
  const auto at = command_->rules.find(field);
  return at == command_->rules.end() ? any : at->second;
}

const std::vector<step_reference>& payload_plan::steps() const {
  static const std::vector<step_reference> none;
  return value_ ? value_->steps() : none;
}

/// One request's way to a payload that is made the usual way.
class payload_plan::usual {
 public:
  usual(const payload_plan& plan, request_reader& in, std::vector<problem>& wrong) : plan_{plan}, in_{in}, wrong_{wrong} {}

  std::string query() {
    map_builder map{out_};
    write_parameters(map);
    const auto all = in_.query().parameters();
    for (std::size_t i = 0; i < all.size();) {
      const auto from = i;
      const auto name = all[i].first;
      while (i < all.size() && all[i].first == name) ++i;
      if (is_parameter(name)) continue;
      if (i == from + 1) {
        write(map, plan_.rule_for(name), name, "query parameter ", {&all[from].second, 1});
        continue;
      }
      texts_.clear();
      for (const auto& each : all.subspan(from, i - from)) texts_.push_back(each.second);
      write(map, plan_.rule_for(name), name, "query parameter ", texts_);
    }
    map.finish();
    return std::move(out_);
  }

  std::string body() {
    const auto& body = std::as_const(in_).body();
    if (plan_.parameters_.empty()) return body ? in_.whole_body() : std::string{"\x80"};
    map_builder map{out_};
    write_parameters(map);
    if (body) {
      wire::reader in{*body};
      std::uint32_t count = 0;
      if (in.peek() == wire::kind::map) {
        in.map(count);
      } else {
        wrong_.push_back({"", "body: expected an object"});
      }
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto from = in.offset();
        std::string_view name;
        const bool text = in.peek() == wire::kind::string;
        text ? in.string(name) : in.skip();
        in.skip();
        if (!text || !is_parameter(name)) map.entry(std::string_view{*body}.substr(from, in.offset() - from));
      }
    }
    map.finish();
    return std::move(out_);
  }

 private:
  /// Writes the value of what came under one name, or notes what is wrong with it.
  void write(map_builder& map, const text_rule& rule, std::string_view field, const char* where, std::span<const std::string_view> texts) {
    const auto before = out_.size();
    map.key(field);
    const char* const expected = rule.append(out_, texts);
    if (expected == nullptr) return;
    out_.resize(before);
    map.take_back_key();
    const std::string name{field};
    if (wrong_.size() < wire::error_problems_max) wrong_.push_back({name, where + name + ": " + expected});
  }

  void write_parameters(map_builder& map) {
    for (const auto& each : plan_.parameters_) {
      const auto text = in_.path()[each.segment];
      write(map, *each.rule, each.name, "path parameter ", {&text, 1});
    }
  }

  [[nodiscard]] bool is_parameter(std::string_view name) const {
    return std::any_of(plan_.parameters_.begin(), plan_.parameters_.end(), [&](const auto& each) { return each.name == name; });
  }

  const payload_plan& plan_;
  request_reader& in_;
  std::vector<problem>& wrong_;
  std::string out_;
  std::vector<std::string_view> texts_;
};

made<std::string> payload_plan::make(request_reader& in, std::vector<problem>& wrong) const {
  const auto before = wrong.size();
  std::string out;
  if (value_) {
    taken_values taken;
    take(in, taken, wrong);
    if (wrong.size() > before) return out;
    return make(taken, {}, wrong);
  }
  usual way{*this, in, wrong};
  out = shape_ == shape::usual_query ? way.query() : way.body();
  // The query's texts have just become one value, and a body was looked through when it was read.
  if (wrong.size() == before && has_check()) note(command_->check->check_value(out), wrong);
  return out;
}

void payload_plan::take(const request_reader& in, taken_values& out, std::vector<problem>& wrong) const {
  value_->take(in, out, wrong);
}

made<std::string> payload_plan::make(const taken_values& request, std::span<const step_outcome> steps,
                                     std::vector<problem>& wrong) const {
  std::string out;
  const auto there = value_->append(out, request, steps);
  if (!there) return tl::unexpected{there.error()};
  if (!*there) out = "\x80";
  if (has_check()) note(command_->check->check(out), wrong);
  return out;
}

void payload_plan::note(std::vector<problem> found, std::vector<problem>& wrong) const {
  for (auto& each : found) {
    if (wrong.size() >= wire::error_problems_max) return;
    // The client does not know the command's fields, but its own.
    const auto origin = value_ ? value_->origin(each.path) : std::string{};
    if (!origin.empty() && origin.substr(origin.find('.') + 1) != each.path) each.message = origin + ": " + each.message;
    wrong.push_back(std::move(each));
  }
}

}  // namespace waggle::gateway
