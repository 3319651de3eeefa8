#include "broker/events/log_queue.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace waggle::broker {
namespace {

bool adds_event(const write_entry& what) { return std::holds_alternative<write::append>(what) || std::holds_alternative<write::accept>(what); }

struct size_of {
  std::size_t operator()(const write::append& each) const { return each.topic.size() + each.payload.size() + each.headers.size(); }
  std::size_t operator()(const write::accept& each) const { return each.command.size() + each.payload.size() + each.headers.size(); }
  std::size_t operator()(const write::finish& each) const { return each.payload.size(); }
  std::size_t operator()(const write::mark& each) const { return each.why.size(); }
  std::size_t operator()(const write::bury& each) const { return each.why.size(); }
  template <class Small>
  std::size_t operator()(const Small&) const {
    return 0;
  }
};

constexpr std::size_t entry_bytes = 128;  // what an entry costs besides

/// Whether the log can be written when there is room, or the disk is well again, with the same entries.
bool is_fault_of_disk(status code) { return code == status::resource_exhausted || code == status::unavailable; }

}  // namespace

void log_queue::write(std::uint64_t ticket, write_entry what) { waiting_.push_back({ticket, std::move(what)}); }

void log_queue::read(std::uint64_t ticket, read_entry what) { reads_.push_back({ticket, std::move(what)}); }

instant log_queue::next_run() const {
  if (!waiting_.empty() || !reads_.empty()) return instant::min();
  return kept_.empty() ? instant::max() : retry_at_;
}

void log_queue::run(instant now, log_answers& out) {
  if (!kept_.empty() && now >= retry_at_) retry(now, out);
  if (!kept_.empty()) {
    refuse_waiting(out);
  } else if (!waiting_.empty()) {
    auto batch = take_batch(waiting_);
    const auto size = batch.size();
    if (!commit(std::move(batch), out)) {
      retry_at_ = now + settings_.retry;
      // What is left of a batch with events in it may be small enough to be written without them.
      if (!kept_.empty() && kept_.size() < size) retry(now, out);
    }
  }
  for (std::size_t i = 0; i < settings_.reads_max && !reads_.empty(); ++i) {
    out.reads.push_back({reads_.front().ticket, log_.look_up(reads_.front().what)});
    reads_.pop_front();
  }
}

void log_queue::retry(instant now, log_answers& out) {
  retry_at_ = now + settings_.retry;
  if (auto room = take_what_makes_room(); !room.empty()) commit(std::move(room), out);
  auto batch = take_batch(kept_);
  if (batch.empty()) return;
  // What is behind the batch stays behind it if it fails.
  auto rest = std::exchange(kept_, {});
  const bool succeeded = commit(std::move(batch), out);
  std::move(rest.begin(), rest.end(), std::back_inserter(kept_));
  if (succeeded) retry_at_ = now;
}

/// While it fails, nobody waits for it: who emits knows at once, and everything else lines up.
void log_queue::refuse_waiting(log_answers& out) { keep(std::exchange(waiting_, {}), last_failure_, out); }

log_queue::item_list log_queue::take_batch(item_list& from) const {
  item_list out;
  std::size_t bytes = 0;
  // How a durable command has ended, and that it needs no more delivery, are two entries of one thing: they are not to be parted.
  const auto is_half = [&] { return !out.empty() && std::holds_alternative<write::finish>(out.back().what); };
  while (!from.empty() && (out.size() < settings_.batch_entries_max || is_half())) {
    bytes += std::visit(size_of{}, from.front().what) + entry_bytes;
    if (bytes > settings_.batch_bytes_max && !out.empty() && !is_half()) break;
    out.push_back(std::move(from.front()));
    from.pop_front();
  }
  return out;
}

/// Trims, but not those of a stream of which an event is to be set aside first, nor those behind a group to be forgotten: they may take what it
/// has not handled, and until the log has forgotten it a crash brings it back. And operations to be forgotten.
log_queue::item_list log_queue::take_what_makes_room() {
  item_list out, others;
  std::set<std::string> wanted;
  bool forgets_group = false;
  for (auto& each : kept_) {
    if (const auto* bury = std::get_if<write::bury>(&each.what)) wanted.insert(bury->stream);
    forgets_group |= std::holds_alternative<write::forget_group>(each.what);
    const auto* trim = std::get_if<write::trim>(&each.what);
    const bool makes_room = trim != nullptr ? !forgets_group && !wanted.contains(trim->stream) : std::holds_alternative<write::expire_operations>(each.what);
    (makes_room && out.size() < settings_.batch_entries_max ? out : others).push_back(std::move(each));
  }
  kept_ = std::move(others);
  return out;
}

/// False when the disk is to blame; what is to be tried again is then at the end of `kept_`.
bool log_queue::commit(item_list batch, log_answers& out) {
  std::vector<write_entry> entries;
  entries.reserve(batch.size());
  for (auto& each : batch) entries.push_back(std::move(each.what));
  auto done = log_.commit(entries);
  if (done) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (batch[i].ticket != 0) out.writes.push_back({batch[i].ticket, std::move((*done)[i])});
    }
    if (std::exchange(noted_, false)) out.notes.emplace_back("events are written again");
    return true;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].what = std::move(entries[i]);
  if (is_fault_of_disk(done.error().code)) {
    keep(std::move(batch), done.error(), out);
    return false;
  }
  if (batch.size() == 1) {
    out.notes.push_back("an entry of the log cannot be written: " + done.error().message);
    if (batch[0].ticket != 0) out.writes.push_back({batch[0].ticket, tl::unexpected{std::move(done.error())}});
    return true;
  }
  item_list second;
  const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
  second.assign(std::make_move_iterator(middle), std::make_move_iterator(batch.end()));
  batch.erase(middle, batch.end());
  if (commit(std::move(batch), out)) return commit(std::move(second), out);
  keep(std::move(second), last_failure_, out);
  return false;
}

void log_queue::keep(item_list what, const error& why, log_answers& out) {
  last_failure_ = why;
  if (!last_failure_.retry_after) last_failure_.retry_after = settings_.retry;
  if (!std::exchange(noted_, true)) out.notes.push_back("events cannot be written: " + why.message);
  for (auto& each : what) {
    if (!adds_event(each.what) && kept_.size() < settings_.kept_max) {
      kept_.push_back(std::move(each));
    } else if (each.ticket != 0) {
      out.writes.push_back({each.ticket, tl::unexpected{last_failure_}});
    }
  }
}

}  // namespace waggle::broker
