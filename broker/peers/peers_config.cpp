#include "broker/peers/peers_config.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <waggle/net/curve.hpp>
#include <waggle/wire/utf8.hpp>

#include "broker/yaml_reader.hpp"

namespace waggle::broker {
namespace {

constexpr const char* role_help = "a role has serve, call, publish, subscribe, groups, claims and events_out";
constexpr const char* peer_help = "a peer has name, role and key";

class peers_config_reader : public yaml_reader {
 public:
  explicit peers_config_reader(const std::string& name) : yaml_reader{name} {}

  void read(const std::string& text) {
    read_document(text, "give the instances of a service one key", "write roles: and peers:", [&](const YAML::Node& document) {
      if (!document.IsMap()) return wrong(document, "this is no map; write roles: and peers:");
      // Roles first, wherever they stand: peers name them.
      read_map(document, "the file has roles and peers", [&](const std::string& key, const YAML::Node& at, const YAML::Node& value) {
        if (key == "roles") return read_roles(at, value), true;
        return key == "peers";
      });
      if (!document["roles"]) wrong(1, "there are no roles; write some, as in roles: { shop: { call: [\"stock.*\"] } }");
      if (!document["peers"]) return wrong(1, "there are no peers; write some, or peers: [] if nobody is to get in");
      read_peers(document["peers"]);
    });
  }

  peers_config out;

 private:
  void read_roles(const YAML::Node& key, const YAML::Node& node) {
    if (!node.IsMap() || node.size() == 0) return wrong(key, "roles is no map of roles; write one below it, as in shop: { call: [\"stock.*\"] }");
    for (const auto& each : node) {
      const auto name = text_of(each.first);
      if (!wire::is_name(name)) {
        wrong(each.first, in_quotes(name) + " is no name of a role; write 1 to 128 bytes without spaces");
      } else if (index_of(name) < out.roles.size()) {
        wrong(each.first, "the role " + in_quotes(name) + " stands here twice; put what it may do together");
      } else if (out.roles.size() >= configured_roles_max) {
        return wrong(each.first, "there are more than 64 roles; give one to several peers");
      } else {
        read_role(name, each.first, each.second);
        check_events_out(each.first);
      }
    }
  }

  /// Whoever may connect to an endpoint for events sees what all of it may see.
  void check_events_out(const YAML::Node& at) {
    const auto& last = out.roles.back();
    if (last.events_out.empty()) return;
    for (const auto& each : out.roles) {
      if (each.events_out != last.events_out || each.may.subscribe == last.may.subscribe) continue;
      wrong(at, "the roles " + in_quotes(each.may.name) + " and " + in_quotes(last.may.name) +
                    " see different topics, so they need different endpoints; give one another events_out");
    }
  }

  void read_role(const std::string& name, const YAML::Node& key, const YAML::Node& node) {
    auto& made = out.roles.emplace_back();
    made.may.name = name;
    if (node.IsNull()) return;  // it may ask for the network, and no more
    if (!node.IsMap()) return wrong(key, "the role " + in_quotes(name) + " is no map; write what it may, as in { call: [\"stock.*\"] }");
    read_map(node, role_help, [&](const std::string& entry, const YAML::Node& at, const YAML::Node& value) {
      if (entry == "serve") {
        read_patterns(at, value, entry, "order.*", false, made.may.serve);
      } else if (entry == "call") {
        read_patterns(at, value, entry, "stock.*", true, made.may.call);
      } else if (entry == "publish") {
        read_patterns(at, value, entry, "order.*", false, made.may.publish);
      } else if (entry == "subscribe") {
        read_patterns(at, value, entry, "order.*", false, made.may.subscribe);
      } else if (entry == "groups") {
        read_patterns(at, value, entry, "mailer", false, made.may.groups);
      } else if (entry == "claims") {
        const auto text = text_of(value);
        if (text != "true" && text != "false") wrong(at, "claims is " + in_quotes(text) + "; write true for those that have verified whom they call for, as the gateway does");
        made.may.claims = text == "true";
      } else if (entry == "events_out") {
        made.events_out = text_of(value);
        if (made.events_out.find("://") == std::string::npos) {
          wrong(at, "events_out is " + in_quotes(made.events_out) + ", which is no endpoint; write tcp://HOST:PORT or ipc://PATH");
        }
      } else {
        return false;
      }
      return true;
    });
  }

  void read_patterns(const YAML::Node& key, const YAML::Node& node, const std::string& what, const std::string& example, bool own,
                     std::vector<std::string>& into) {
    if (!node.IsSequence()) return wrong(key, what + " is no list of patterns; write one, as in " + what + ": [\"" + example + "\"]");
    for (const auto& each : node) {
      const auto pattern = text_of(each);
      if (!wire::is_name(pattern) || pattern.find('*') < pattern.size() - 1) {
        wrong(each, in_quotes(pattern) + " is no pattern; write a name, what names begin with and a * behind it, or *; at most 128 bytes");
      } else if (!own && pattern.starts_with("waggle.")) {
        wrong(each, in_quotes(pattern) + " is of the broker's own names, which can only be called; remove it");
      } else if (into.size() >= role_patterns_max) {
        return wrong(each, "there are more than 256 patterns in " + what + "; write shorter ones with *");
      } else {
        into.push_back(pattern);
      }
    }
  }

  void read_peers(const YAML::Node& node) {
    if (!node.IsSequence()) return wrong(node, "peers is no list; write one, as in - { name: shop-1, role: shop, key: \"…\" }");
    for (const auto& each : node) {
      if (out.peers.size() >= configured_peers_max) return wrong(each, "there are more than 10,000 peers; give the instances of a service one key");
      if (!each.IsMap()) {
        wrong(each, std::string{"this is no peer; write { name: shop-1, role: shop, key: \"…\" }: "} + peer_help);
      } else {
        read_peer(each);
      }
    }
  }

  void read_peer(const YAML::Node& node) {
    configured_peer peer{{}, out.roles.size(), {}};
    read_map(node, peer_help, [&](const std::string& entry, const YAML::Node& at, const YAML::Node& value) {
      if (entry == "name") {
        peer.name = text_of(value);
        if (!wire::is_name(peer.name)) wrong(at, in_quotes(peer.name) + " is no name of a peer; write 1 to 128 bytes without spaces");
      } else if (entry == "role") {
        peer.role = index_of(text_of(value));
        if (peer.role == out.roles.size()) wrong(at, "the role " + in_quotes(text_of(value)) + " is not one of this file, which has " + known_roles());
      } else if (entry == "key") {
        peer.key = text_of(value);
        // Not shown: it may be a secret one by mistake.
        if (!net::is_key(peer.key)) wrong(at, "the key is no public key; write the 40 characters that `waggle keygen` prints, in \"quotes\"");
      } else {
        return false;
      }
      return true;
    });
    for (const char* each : {"name", "role", "key"}) {
      if (!node[each]) wrong(node, std::string{"the peer has no "} + each + "; " + peer_help);
    }
    if (!node["name"] || !node["role"] || !net::is_key(peer.key)) return;
    const auto line = node.Mark().line + 1;
    if (const auto [before, is_new] = keys_.emplace(peer.key, line); !is_new) {
      return wrong(node, "the key of " + in_quotes(peer.name) + " stands in line " + std::to_string(before->second) + " too; a key is one peer's: remove one");
    }
    if (const auto [before, is_new] = names_.emplace(peer.name, line); !is_new) {
      return wrong(node, "the peer " + in_quotes(peer.name) + " stands in line " + std::to_string(before->second) + " too; give this one another name");
    }
    out.peers.push_back(std::move(peer));
  }

  [[nodiscard]] std::size_t index_of(const std::string& name) const {
    const auto found = std::find_if(out.roles.begin(), out.roles.end(), [&](const auto& each) { return each.may.name == name; });
    return static_cast<std::size_t>(found - out.roles.begin());
  }

  [[nodiscard]] std::string known_roles() const {
    std::string all;
    for (const auto& each : out.roles) all += (all.empty() ? "" : ", ") + each.may.name;
    return all.empty() ? "none" : all;
  }

  std::map<std::string, int> keys_, names_;  ///< and the lines they stand in
};

}  // namespace

tl::expected<peers_config, std::vector<std::string>> parse_peers_config(const std::string& name, const std::string& text) {
  peers_config_reader reader{name};
  reader.read(text);
  if (!reader.errors.empty()) return tl::unexpected{std::move(reader.errors)};
  return std::move(reader.out);
}

tl::expected<peers_config, std::vector<std::string>> read_peers_config(const std::string& path) {
  return read_yaml_file(path).and_then([&](const std::string& text) { return parse_peers_config(path, text); });
}

}  // namespace waggle::broker
