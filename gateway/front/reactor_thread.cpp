#include "gateway/front/reactor_thread.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "gateway/front/http_date.hpp"
#include "gateway/front/problem.hpp"

namespace waggle::front::detail {
namespace {

using Pistache::Flags;
using Pistache::Polling::NotifyOn;
using Pistache::Polling::Tag;

// Per wake-up, so that a rush of new clients does not starve the ones already there.
constexpr int accept_batch = 64;
constexpr int accept_rest_max = 4096;
constexpr std::size_t read_bytes_max = 64 * 1024;
// How often the thread looks for requests that may join those whose calls are kept back.
constexpr int looks_max = 2;
// A client that holds no more than this is not what fills the memory.
constexpr std::size_t fair_bytes = 64 * 1024;

std::string describe(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace

void reactor_thread::registerPoller(Pistache::Polling::Epoll& poller) {
  poller_ = &poller;
  number_ = plan_->wake_fds.size();
  listeners_ = std::move(plan_->listeners.at(number_));
  wake_ = unique_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  timer_fd_ = unique_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!wake_ || !timer_fd_) throw std::system_error(errno, std::generic_category(), "cannot set up a reactor thread");
  poller.addFd(wake_.get(), Flags<NotifyOn>(NotifyOn::Read), Tag(wake_tag));
  plan_->wake_fds.push_back(wake_.get());
}

/// An exception that left here would end the process: Pistache's threads catch nothing.
void reactor_thread::onReady(const Pistache::Aio::FdSet& ready) {
  now_ = clock::now();
  try {
    update_date();
    handshakes_took_ = {};
    for (const auto& event : ready) handle(event);
    for (int looks = 0; is_serving() && finish_batch(looks == looks_max); ++looks) look_again();
  } catch (...) {
    log("a batch of events failed: " + describe(std::current_exception()));
  }
}

/// Takes what has come meanwhile, without waiting. Level-triggered descriptors of Pistache's own may be among it: it finds them again.
void reactor_thread::look_again() {
  looked_.clear();
  poller_->poll(looked_, std::chrono::milliseconds{0});
  now_ = clock::now();
  for (auto& each : looked_) handle(std::move(each));
}

void reactor_thread::handle(const Pistache::Aio::FdSet::Entry& event) {
  const std::uint64_t tag = event.getTag().value();
  if (tag == wake_tag) return obey();
  if (!is_serving()) return;
  switch (tag) {
    case timer_tag: {
      std::uint64_t expirations;
      [[maybe_unused]] const auto size = ::read(timer_fd_.get(), &expirations, sizeof expirations);
      armed_ = instant::max();
      return;
    }
    case application_tag:
      application_called_ = true;
      guarded("on_readable", [&] { application_->on_readable(now_); });
      return;
    default:
      break;
  }
  if (tag < first_client_tag) {
    // One before it in the same batch may have run out of descriptors.
    if (accepting_ && tag - first_listener_tag < listeners_.size()) accept_some(listeners_[tag - first_listener_tag], accept_batch);
    return;
  }
  if (tag - first_client_tag >= slots_.size()) return;
  const auto index = static_cast<std::uint32_t>(tag - first_client_tag);
  with_client(index, [&] { on_client_event(index, event); });
}

template <typename Function>
void reactor_thread::with_client(std::uint32_t index, Function&& call) {
  if (!slots_[index].client) return;
  try {
    call();
  } catch (...) {
    log("a connection failed: " + describe(std::current_exception()));
    if (slots_[index].client) drop(index);
  }
}

void reactor_thread::obey() {
  eventfd_t ignored;
  ::eventfd_read(wake_.get(), &ignored);
  const auto [order, patience_until] = plan_->signals.wanted();
  if (life_ == life::waiting && order != control::order::none) {
    if (order == control::order::stop) {
      plan_->signals.note_started(nullptr);
    } else {
      begin_life();
    }
  }
  if (order == control::order::stop && life_ != life::ended) return end();
  if (!is_serving()) return;
  if (const std::uint64_t count = plan_->signals.notifications(); count != notifications_seen_) {
    notifications_seen_ = count;
    application_called_ = true;
    guarded("on_notified", [&] { application_->on_notified(now_); });
  }
  if (order == control::order::announce) announce_drain();
  if (order == control::order::drain) {
    patience_until_ = patience_until;
    if (life_ == life::running) begin_drain();
  }
}

void reactor_thread::begin_life() {
  try {
    context_.bounds = plan_->bounds;
    read_buffer_.resize(read_bytes_max);
    reserve_ = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    application_ = plan_->make_application(*this);
    if (!application_) throw std::logic_error("the factory made no application");
    poller_->addFd(timer_fd_.get(), Flags<NotifyOn>(NotifyOn::Read), Tag(timer_tag));
    follow_descriptors();
    set_accepting(true);
    life_ = life::running;
    application_called_ = true;  // its constructor may have collected something to send
    plan_->signals.note_started(nullptr);
  } catch (...) {
    plan_->signals.note_started(std::current_exception());
  }
}

void reactor_thread::announce_drain() {
  if (std::exchange(drain_announced_, true)) return;
  context_.closing = true;
  application_called_ = true;
  guarded("on_drain", [&] { application_->on_drain(now_); });
}

void reactor_thread::begin_drain() {
  life_ = life::draining;
  // Clients that the kernel has let in would be reset if the socket closed over them, and one that has just sent a
  // request on an idle connection would not know whether it was run: both are read once more.
  for (const auto& each : listeners_) accept_some(each, accept_rest_max);
  set_accepting(false);
  accept_again_ = instant::max();
  listeners_.clear();
  announce_drain();
  application_called_ = true;
  guarded("on_closing", [&] { application_->on_closing(now_); });
  for (std::uint32_t index = 0; index < slots_.size(); ++index) {
    with_client(index, [&] { drain_client(index); });
  }
}

void reactor_thread::drain_client(std::uint32_t index) {
  connection& client = *slots_[index].client;
  if (client.wants_read() && !read_from(index)) return;
  client.drain();
  if (client.finished() && !client.lingering()) {
    say_goodbye(slots_[index]);
    drop(index);
  } else {
    mark(index);
  }
}

void reactor_thread::end() {
  life_ = life::ended;
  for (std::uint32_t index = 0; index < slots_.size(); ++index) {
    if (slots_[index].client) drop(index);
  }
  if (application_) guarded("on_batch_end", [&] { application_->on_batch_end(now_, true); });
  guarded("its destructor", [&] { application_.reset(); });
  listeners_.clear();
  timer_fd_.reset();
  reserve_.reset();
  plan_->signals.note_ended();
}

void reactor_thread::on_client_event(std::uint32_t index, const Pistache::Aio::FdSet::Entry& event) {
  if (event.isReadable() && slots_[index].client->wants_read()) {
    if (waits_to_shake(index) || !read_from(index)) return;
  } else if (event.isHangup() || (!event.isReadable() && !event.isWritable())) {
    // Not a half-closed client, which ends its own side only: this one has reset the connection. Where a read is due,
    // the read will tell.
    return drop(index);
  }
  if (event.isWritable()) mark(index);
}

/// False if the connection has been dropped.
bool reactor_thread::read_from(std::uint32_t index) {
  connection& client = *slots_[index].client;
  const ssize_t size = ::recv(slots_[index].fd.get(), read_buffer_.data(), read_buffer_.size(), 0);
  if (size < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
    drop(index);
    return false;
  }
  if (client.lingering()) {
    if (size == 0) drop(index);
    return size != 0;
  }
  if (slots_[index].tls) return take_wire(index, {read_buffer_.data(), static_cast<std::size_t>(size)});
  if (size == 0) {
    client.receive_end(now_);
  } else {
    client.receive(now_, {read_buffer_.data(), static_cast<std::size_t>(size)});
  }
  pump(index);
  return true;
}

/// Gives the application what has arrived whole.
void reactor_thread::pump(std::uint32_t index) {
  connection& client = *slots_[index].client;
  while (const request* in = client.next(now_)) {
    const exchange_id id = client.last_id();
    application_called_ = true;
    if (!guarded("on_request", [&] { application_->on_request(now_, id, *in); })) {
      // An answer that has begun cannot become another one.
      if (!client.respond(now_, id, problem(500, "the request could not be handled"))) client.abort(now_, id);
    }
  }
  const bool is_quiet = client.only_waits_for_answers() && slots_[index].reading && slots_[index].held_bytes == 0 && !slots_[index].tls;
  if (!is_quiet) mark(index);
}

/// Everything that has been touched in a batch is looked at once at its end, so that all that is ready leaves in one
/// write.
void reactor_thread::mark(std::uint32_t index) {
  if (slots_[index].dirty) return;
  slots_[index].dirty = true;
  dirty_.push_back(index);
}

/// False if the connection has been dropped; so with `send_encrypted`.
bool reactor_thread::send_plain(std::uint32_t index) {
  connection& client = *slots_[index].client;
  for (std::string_view bytes = client.output(); !bytes.empty(); bytes = client.output()) {
    const ssize_t size = ::send(slots_[index].fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      client.written(now_, static_cast<std::size_t>(size));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      drop(index);
      return false;
    }
  }
  return true;
}

void reactor_thread::flush(std::uint32_t index) {
  if (!(slots_[index].tls ? send_encrypted(index) : send_plain(index))) return;
  connection& client = *slots_[index].client;
  if (client.overrun()) return drop(index);
  if (client.finished() && !client.lingering() && (!slots_[index].tls || slots_[index].tls->output().empty())) {
    close_finished(index);
    if (!slots_[index].client) return;
  }
  if (const auto id = client.take_room()) roomy_.push_back(*id);
  if (client.can_resume()) pump(index);
  if (!hold_to_budget(index)) return drop(index);
  update_interest(index);
  slot& at = slots_[index];
  const instant deadline = at.tls ? std::min(client.next_deadline(), at.tls->next_deadline()) : client.next_deadline();
  if (deadline < at.scheduled) {
    at.scheduled = deadline;
    timers_.push({deadline, index});
  }
}

/// All has been written: ends our side, and the connection if nothing more can come of it.
void reactor_thread::close_finished(std::uint32_t index) {
  slot& at = slots_[index];
  if (at.client->broken() == connection::breach::reset) {
    const ::linger at_once{1, 0};
    ::setsockopt(at.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return drop(index);
  }
  if (at.client->peer_ended()) return drop(index);
  ::shutdown(at.fd.get(), SHUT_WR);
  at.client->linger(now_);
}

void reactor_thread::update_interest(std::uint32_t index) {
  slot& at = slots_[index];
  const bool reading = at.client->wants_read() && (!at.tls || at.tls->wants_read());
  const bool writing = !(at.tls ? at.tls->output() : at.client->output()).empty();
  if (reading == at.reading && writing == at.writing) return;
  Flags<NotifyOn> interest;
  if (reading) interest.setFlag(NotifyOn::Read);
  if (writing) interest.setFlag(NotifyOn::Write);
  poller_->rearmFd(at.fd.get(), interest, client_tag(index));
  at.reading = reading;
  at.writing = writing;
}

/// Keeps count of what clients make this thread hold, and turns to the larger ones when it is too much. False: the
/// connection must go.
bool reactor_thread::hold_to_budget(std::uint32_t index) {
  slot& at = slots_[index];
  held_bytes_ -= at.held_bytes;
  at.held_bytes = at.client->held_bytes() + (at.tls ? at.tls->held_bytes() : 0);
  held_bytes_ += at.held_bytes;
  if (held_bytes_ <= context_.bounds.buffered_bytes_max || at.held_bytes <= fair_bytes) return true;
  if (!at.client->receiving()) return at.client->output().empty();
  at.client->refuse(now_, 503, "the server holds as many bytes as it can");
  mark(index);
  return true;
}

/// The slot is not given to another client before the batch ends: events of the old one may still be in it.
void reactor_thread::drop(std::uint32_t index) {
  slot& at = slots_[index];
  const std::unique_ptr<connection> gone = std::move(at.client);
  end_handshake(at);
  at.tls.reset();
  at.next_sequence = gone->next_id() & sequence_mask;
  at.fd.reset();
  held_bytes_ -= std::exchange(at.held_bytes, 0);
  freed_.push_back(index);
  --clients_;
  plan_->clients.fetch_sub(1, std::memory_order_relaxed);
  gone->for_each_unanswered([&](exchange_id id) {
    application_called_ = true;
    guarded("on_abandoned", [&] { application_->on_abandoned(now_, id); });
  });
}

/// Each streamed answer that has room gets one offer for each batch: between two, everybody else has a turn.
void reactor_thread::offer_room() {
  offering_.swap(roomy_);
  for (const exchange_id id : offering_) {
    if (slot_of(id) == slots_.size()) continue;
    application_called_ = true;
    guarded("on_room", [&] { application_->on_room(now_, id); });
  }
  offering_.clear();
}

/// Whether the application has kept something back, and wants the thread to look for more first.
bool reactor_thread::finish_batch(bool last) {
  run_timers();
  offer_room();
  bool kept_back = false;
  while (application_called_ || !dirty_.empty()) {
    if (std::exchange(application_called_, false)) {
      kept_back = false;
      guarded("on_batch_end", [&] { kept_back = application_->on_batch_end(now_, last); });
    }
    flushing_.swap(dirty_);
    for (const std::uint32_t index : flushing_) {
      slots_[index].dirty = false;
      with_client(index, [&] { flush(index); });
    }
    flushing_.clear();
  }
  guarded("descriptor", [&] { follow_descriptors(); });
  free_.insert(free_.end(), freed_.begin(), freed_.end());
  freed_.clear();
  if (life_ == life::draining && ((clients_ == 0 && !application_->busy()) || now_ >= patience_until_)) {
    end();
    return false;
  }
  if (!roomy_.empty()) ::eventfd_write(wake_.get(), 1);
  arm_timer();
  application_called_ = kept_back;
  return kept_back;
}

void reactor_thread::run_timers() {
  while (!timers_.empty() && timers_.top().at <= now_) {
    const timer due = timers_.top();
    timers_.pop();
    slot& at = slots_[due.index];
    // A slot may have older entries, from before an earlier deadline; the one that counts is the earliest.
    if (at.scheduled != due.at) continue;
    at.scheduled = instant::max();
    if (!at.client) continue;
    if ((at.tls && at.tls->next_deadline() <= now_) || at.client->tick(now_) == connection::tick_result::close) {
      say_goodbye(at);
      drop(due.index);
    } else {
      mark(due.index);
    }
  }
  if (now_ >= accept_again_) {
    accept_again_ = instant::max();
    set_accepting(true);
  }
  if (application_->next_deadline() <= now_) {
    application_called_ = true;
    guarded("on_deadline", [&] { application_->on_deadline(now_); });
  }
}

/// The application's descriptors change when it makes new sockets. An old one may be closed by now, which has taken it out of epoll:
/// that is not an error. Its number may be another socket's by then, so that all of them go before any comes.
void reactor_thread::follow_descriptors() {
  const std::array wanted{application_->descriptor(), application_->second_descriptor(), application_->third_descriptor()};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == watched_[i] || watched_[i] < 0) continue;
    try {
      poller_->removeFd(watched_[i]);
    } catch (const std::exception&) {
    }
    watched_[i] = -1;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == watched_[i]) continue;
    poller_->addFd(wanted[i], Flags<NotifyOn>(NotifyOn::Read), Tag(application_tag), Pistache::Polling::Mode::Edge);
    watched_[i] = wanted[i];
  }
}

/// Only ever moved to an earlier time: a wake-up too many costs less than a system call for each request.
void reactor_thread::arm_timer() {
  instant wanted = std::min({application_->next_deadline(), accept_again_, patience_until_});
  if (!timers_.empty()) wanted = std::min(wanted, timers_.top().at);
  if (wanted >= armed_) return;
  const auto since_epoch = std::max(wanted.time_since_epoch(), instant::duration{1});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
  itimerspec when{};
  when.it_value.tv_sec = seconds.count();
  when.it_value.tv_nsec = static_cast<long>(std::chrono::nanoseconds(since_epoch - seconds).count());
  if (::timerfd_settime(timer_fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0) armed_ = wanted;
}

void reactor_thread::update_date() {
  if (now_ < date_until_) return;
  const auto wall = std::chrono::system_clock::now();
  const auto second = std::chrono::floor<std::chrono::seconds>(wall);
  context_.date = format_http_date(std::chrono::system_clock::to_time_t(second));
  date_until_ = now_ + std::chrono::duration_cast<clock::duration>(second + std::chrono::seconds(1) - wall);
}

template <typename Function>
bool reactor_thread::guarded(std::string_view what, Function&& call) {
  try {
    call();
    return true;
  } catch (...) {
    log("the application failed in " + std::string(what) + ": " + describe(std::current_exception()));
    return false;
  }
}

void reactor_thread::log(std::string_view line) const {
  try {
    plan_->log(line);
  } catch (...) {
    std::fputs("http: the log function failed\n", stderr);
  }
}

}  // namespace waggle::front::detail
