#include "gateway/routes/yaml_value.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <waggle/wire/json.hpp>
#include <waggle/wire/limits.hpp>
#include <waggle/wire/writer.hpp>

#include "gateway/front/http_syntax.hpp"

namespace waggle::gateway {
namespace {

bool one_of(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::find(all.begin(), all.end(), text) != all.end();
}

/// Whether some reader of YAML would take the text for a number, in whatever base.
bool resembles_number(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  const auto all_of = [&](std::string_view characters) {
    return text.find_first_not_of(characters) == std::string_view::npos;
  };
  if (text.starts_with("0x")) return text.remove_prefix(2), all_of("0123456789abcdef_");
  if (text.starts_with("0o")) return text.remove_prefix(2), all_of("01234567_");
  if (text.empty() || text.find_first_of("0123456789") > (text[0] == '.' ? 1u : 0u)) return false;
  const auto exponent = std::min(text.find('e'), text.size());
  auto power = text.substr(std::min(exponent + 1, text.size()));
  if (power.starts_with('+') || power.starts_with('-')) power.remove_prefix(1);
  text = text.substr(0, exponent);
  return all_of("0123456789_.") && std::count(text.begin(), text.end(), '.') <= 1 &&
         power.find_first_not_of("0123456789") == std::string_view::npos;
}

class converter {
 public:
  std::optional<yaml_fault> append(const YAML::Node& node, std::uint32_t depth_left) {
    const auto wrong = [&](std::string message) { return yaml_fault{node.Mark().line + 1, std::move(message)}; };
    wire::writer out{bytes};
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: out.nil(); return std::nullopt;
      case YAML::NodeType::Scalar: {
        if (auto message = scalar(node)) return wrong(std::move(*message));
        return std::nullopt;
      }
      case YAML::NodeType::Sequence:
        if (depth_left == 0) return wrong("the value is nested too deep; write a flatter one");
        out.array(node.size());
        for (const auto& each : node) {
          if (auto fault = append(each, depth_left - 1)) return fault;
        }
        return std::nullopt;
      case YAML::NodeType::Map: break;
    }
    if (depth_left == 0) return wrong("the value is nested too deep; write a flatter one");
    std::set<std::string> keys;
    out.map(node.size());
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return wrong("a key of a value is no text; write it in quotes");
      if (!keys.insert(entry.first.Scalar()).second) {
        return yaml_fault{entry.first.Mark().line + 1, '"' + entry.first.Scalar() + "\" stands here twice; remove one"};
      }
      out.string(entry.first.Scalar());
      if (auto fault = append(entry.second, depth_left - 1)) return fault;
    }
    return std::nullopt;
  }

  std::string bytes;

 private:
  std::optional<std::string> scalar(const YAML::Node& node) {
    wire::writer out{bytes};
    const std::string& text = node.Scalar();
    if (!wire::is_utf8(text)) return "the value is not UTF-8; write it anew";
    const auto& tag = node.Tag();
    if (tag == "!" || tag == "tag:yaml.org,2002:str") {
      out.string(text);
      return std::nullopt;
    }
    if (tag != "?" && !tag.empty()) return "the tag " + tag + " is not known here; leave it away";
    const std::string plain = front::syntax::lower(text);
    if (one_of(text, {"null", "~", ""})) {
      out.nil();
    } else if (one_of(text, {"true", "false"})) {
      out.boolean(text == "true");
    } else if (one_of(plain, {"true", "false", "null", "yes", "no", "on", "off"})) {
      return '"' + text + "\" may be a text or not; write true, false or null, or the text in quotes";
    } else if (one_of(plain, {".inf", "-.inf", "+.inf", ".nan"})) {
      return '"' + text + "\" is no number in JSON; write another one, or the text in quotes";
    } else if (!resembles_number(plain)) {
      out.string(text);
    } else if (auto number = wire::json_to_msgpack(text)) {
      out.raw(*number);
    } else {
      return '"' + text + "\" may be a number or not; write it as JSON does, or in quotes";
    }
    return std::nullopt;
  }
};

}  // namespace

tl::expected<std::string, yaml_fault> msgpack_of(const YAML::Node& node) {
  converter all;
  if (auto fault = all.append(node, wire::depth_max)) return tl::unexpected{std::move(*fault)};
  return std::move(all.bytes);
}

}  // namespace waggle::gateway
