#include <charconv>

#include <waggle/wire/headers.hpp>

#include "sim/events/books.hpp"

namespace waggle::sim {

std::string headers_of(std::uint64_t n, const event_books::sending& what) {
  header_map out{{"n", std::to_string(n)}};
  if (!what.key.empty()) out["key"] = what.key;
  if (!what.event_id.empty()) out["event_id"] = what.event_id;
  return wire::headers_to_msgpack(out);
}

std::uint64_t number_in_headers(std::string_view headers) {
  const auto all = wire::headers_from_msgpack(headers);
  const auto found = all.find("n");
  std::uint64_t out = 0;
  if (found != all.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), out);
  return out;
}

std::uint64_t event_books::send(sending what) {
  ++sums_.emitted;
  sendings_.emplace(++sent_, std::move(what));
  return sent_;
}

void event_books::receipt(std::uint64_t n, const std::string& stream, std::uint64_t sequence, bool repeated) {
  ++sums_.receipts;
  const auto& sent = sendings_.at(n);
  const auto which = "the receipt of sending " + std::to_string(n) + " names event " + std::to_string(sequence) + " of " + stream;
  if (stream != in_.stream_of(sent.topic)) fail(which + ", which is not the stream of " + sent.topic);
  const auto* const kept = find(stream, sequence);
  if (kept == nullptr) fail(which + ", which is not on the disk");
  if (!repeated && kept->n != n) fail(which + ", which is of sending " + std::to_string(kept->n));
  if (repeated && (sent.event_id.empty() || kept->event_id != sent.event_id)) fail(which + " as repeated, which has another event id");
  if (repeated) ++sums_.repeated;
}

void event_books::ephemeral_receipt(std::uint64_t n) {
  if (!in_.is_ephemeral(sendings_.at(n).topic)) fail("sending " + std::to_string(n) + " is said not to be kept, and its topic's stream is");
}

void event_books::refused(std::uint64_t n, const error& why) {
  ++sums_.refused;
  auto& sent = sendings_.at(n);
  if (why.code != status::resource_exhausted && why.code != status::unavailable && why.code != status::data_loss && why.code != status::deadline_exceeded) {
    fail("a good EMIT is refused as " + std::string{name(why.code)} + ": " + why.message);
  }
  if (why.may_have_run) return;
  sent.refused = true;
  if (sent.kept_as != 0) fail("an emitter is told that its event is not kept, and it is: sending " + std::to_string(n) + ", " + why.message);
}

}  // namespace waggle::sim
