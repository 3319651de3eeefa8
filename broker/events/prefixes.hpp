#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <waggle/wire/limits.hpp>

namespace waggle::broker {

/// For each prefix that somebody has subscribed to, the last event of each stream whose topic begins with it: so a subscriber that gets only
/// some of a stream's events can tell whether it has missed one of its own (broker/PROTOCOL.md, "Gaps").
class prefixes {
 public:
  explicit prefixes(std::size_t count_max) : count_max_{count_max} {}

  /// `heads`: the newest event of each stream now, which may have been one of this prefix. Past the limit the one that is known for longest is
  /// forgotten: whoever has subscribed to it takes every event for one that it may have missed.
  void add(std::string_view prefix, const std::vector<std::uint64_t>& heads) {
    if (prefix.empty() || prefix.size() > wire::name_bytes_max || last_.contains(std::string{prefix})) return;
    if (last_.size() >= count_max_ && !order_.empty()) {
      --of_length_[order_.front().size()];
      last_.erase(order_.front());
      order_.pop_front();
    }
    last_.emplace(prefix, heads);
    order_.emplace_back(prefix);
    ++of_length_[prefix.size()];
  }

  /// Pairs: the length of a prefix of this topic, and the last event before this one that has it.
  std::vector<std::uint64_t> note(std::string_view topic, std::size_t stream, std::uint64_t sequence) {
    std::vector<std::uint64_t> out;
    for (std::size_t length = 1; length <= topic.size(); ++length) {
      if (of_length_[length] == 0) continue;
      const auto found = last_.find(std::string{topic.substr(0, length)});
      if (found == last_.end()) continue;
      if (found->second.size() <= stream) found->second.resize(stream + 1);
      out.push_back(length);
      out.push_back(found->second[stream]);
      found->second[stream] = sequence;
    }
    return out;
  }

  /// No event of the stream after this has one of these prefixes; `head` if that is not known.
  [[nodiscard]] std::uint64_t newest(const std::vector<std::string>& of, std::size_t stream, std::uint64_t head) const {
    std::uint64_t out = 0;
    for (const auto& each : of) {
      const auto found = last_.find(each);
      if (found == last_.end()) return head;
      if (stream < found->second.size()) out = std::max(out, found->second[stream]);
    }
    return out;
  }

 private:
  std::size_t count_max_;
  std::unordered_map<std::string, std::vector<std::uint64_t>> last_;  ///< by prefix, for each stream
  std::deque<std::string> order_;
  std::array<std::uint32_t, wire::name_bytes_max + 1> of_length_{};
};

}  // namespace waggle::broker
