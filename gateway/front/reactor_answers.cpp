#include "gateway/front/reactor_thread.hpp"

/// What a reactor thread's application says to its clients. Each call only changes the connection, which is then looked at
/// at the end of the batch, so that all that is ready leaves in one write.
namespace waggle::front::detail {

std::uint32_t reactor_thread::slot_of(exchange_id id) const {
  const auto bits = static_cast<std::uint64_t>(id);
  const auto index = static_cast<std::uint32_t>(bits >> slot_shift & slot_mask);
  const bool is_here = bits >> thread_shift == number_ && index < slots_.size() && slots_[index].client;
  return is_here ? index : static_cast<std::uint32_t>(slots_.size());
}

void reactor_thread::respond(exchange_id to, response answer) {
  const auto index = slot_of(to);
  if (index < slots_.size() && slots_[index].client->respond(now_, to, answer)) mark(index);
}

void reactor_thread::begin(exchange_id to, response head) {
  const auto index = slot_of(to);
  if (index < slots_.size() && slots_[index].client->begin(now_, to, head)) mark(index);
}

bool reactor_thread::append(exchange_id to, std::string_view bytes) {
  const auto index = slot_of(to);
  if (index == slots_.size()) return false;
  const bool taken = slots_[index].client->append(now_, to, bytes);
  if (taken || slots_[index].client->overrun()) mark(index);
  return taken;
}

void reactor_thread::finish(exchange_id to) {
  const auto index = slot_of(to);
  if (index < slots_.size() && slots_[index].client->finish(now_, to)) mark(index);
}

void reactor_thread::abort(exchange_id to) {
  const auto index = slot_of(to);
  if (index < slots_.size() && slots_[index].client->abort(now_, to)) mark(index);
}

std::size_t reactor_thread::backlog(exchange_id to) const {
  const auto index = slot_of(to);
  return index < slots_.size() ? slots_[index].client->backlog(to) : 0;
}

}  // namespace waggle::front::detail
