#include "gateway/application.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <variant>

#include <waggle/wire/headers.hpp>

#include "gateway/routes/network_view.hpp"
#include "gateway/routes/problems.hpp"

namespace waggle::gateway {

namespace {

using std::chrono::milliseconds;

/// The watch is asked anew this often even when nothing changes, so that it cannot hang on a broker that lost it.
constexpr milliseconds watch_time{20'000};
constexpr milliseconds watch_budget{25'000};
constexpr milliseconds watch_pause{500};
/// A broker that has just started knows little of the network: so long its workers have to join again before routes that it does not
/// list are taken away.
constexpr milliseconds adopt_time{3'000};
/// So long after a broker is lost requests wait for it to come back; then they are answered at once.
constexpr milliseconds unready_max{2'000};
constexpr std::size_t warned_max = 1'000;
constexpr std::string_view watched = "waggle.services";

/// W3C Trace Context, version 00: 00-<32 hex>-<16 hex>-<2 hex>, lower case, ids not all zero.
bool is_traceparent(std::string_view text) {
  if (text.size() != 55 || !text.starts_with("00-") || text[35] != '-' || text[52] != '-') return false;
  const auto hex = [](std::string_view part) {
    return std::all_of(part.begin(), part.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  const auto trace = text.substr(3, 32), parent = text.substr(36, 16);
  return hex(trace) && hex(parent) && hex(text.substr(53)) && trace.find_first_not_of('0') != trace.npos &&
         parent.find_first_not_of('0') != parent.npos;
}

/// Messages taken from the socket in one go, and goes in one turn, before clients and other sockets have theirs.
constexpr int receive_max = 1000;
constexpr int turns_max = 4;

tl::unexpected<error> too_large() {
  return failure(status::out_of_range, "the parts together are larger than 4 MiB", true);
}

std::uint64_t seed() {
  std::random_device entropy;
  return (std::uint64_t{entropy()} << 32) | entropy();
}

}  // namespace

application::application(application_options from, front::responder& answers)
    : options_{std::move(from)},
      answers_{answers},
      router_{options_.routes, options_.routing},
      socket_{std::make_unique<net::dealer>(*options_.sockets)},
      core_{front::clock::now(), {"gateway", options_.broker}},
      unready_since_{front::clock::now()},
      random_{seed()} {
  socket_->connect(options_.broker);
  log("waiting for the broker at " + options_.broker);
}

void application::on_request(front::instant now, front::exchange_id id, const front::request& in) {
  if (in.path == "/livez") return answers_.respond(id, own_answer(in, {200, "application/json", R"({"status":"alive"})", {}}));
  if (in.path == "/readyz") return answers_.respond(id, own_answer(in, readiness()));
  if (in.path == "/openapi.json") return answers_.respond(id, own_answer(in, {200, "application/json", router_.openapi(), {}}));

  auto planned = router_.plan(in);
  if (auto* refused = std::get_if<front::response>(&planned)) return answers_.respond(id, std::move(*refused));
  auto made = std::make_unique<purpose>();
  made->exchange = id;
  made->plan = std::move(std::get<planned_call>(planned));
  const auto& plan = made->plan;
  if (plan.payload.size() > wire::payload_bytes_max) return answers_.respond(id, refusal(413, "the payload is larger than 4 MiB"));
  // The plan's own copy of the payload is not needed once the core has it.
  const auto payload = std::exchange(made->plan.payload, {});
  const auto command = plan.command;
  auto budget = plan.budget;
  if (!core_.ready()) {
    const auto waits = std::chrono::ceil<milliseconds>(unready_since_ + unready_max - now);
    if (waits <= milliseconds{0}) {
      return answers_.respond(
          id, router::answer(plan, tl::unexpected{error{status::unavailable, "the gateway has no connection to the network", false,
                                                        unready_max}}));
    }
    budget = std::min(budget, waits);
  }
  const auto call = core_.call(now, made, command, payload, budget, headers_of(in), {.idempotent = plan.idempotent});
  if (call == 0) {
    return answers_.respond(id, router::answer(made->plan, failure(status::resource_exhausted, "the gateway has as many open calls as it may")));
  }
  calls_.emplace(static_cast<std::uint64_t>(id), call);
}

/// Answers of the gateway itself, for GET and HEAD.
front::response application::own_answer(const front::request& in, front::response get) const {
  if (in.method == "GET" || in.method == "HEAD") {
    get.headers.emplace_back("Cache-Control", "no-store");
    return get;
  }
  front::response other = in.method == "OPTIONS" ? front::response{204, {}, {}, {}} : refusal(405, "this path takes GET and HEAD");
  other.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
  return other;
}

/// Ready: connected to a broker, and the routes are those of its network.
front::response application::readiness() const {
  if (draining_) return {503, "application/json", R"({"status":"draining"})", {}};
  if (!core_.ready() || revision_.empty()) {
    return {503, "application/json", R"({"status":"unready","missing":["broker"]})", {}};
  }
  return {200, "application/json", R"({"status":"ready"})", {}};
}

/// What goes along with the call. The request's trace goes on; a request without one begins one. A key is taken as it is, and
/// left out if it is no text that a header may hold.
std::string application::headers_of(const front::request& in) {
  const auto sent = in.find("traceparent");
  const std::string trace = sent && is_traceparent(*sent)
                                ? std::string{*sent}
                                : fmt::format("00-{:016x}{:016x}-{:016x}-01", random_(), random_() | 1, random_() | 1);
  header_map out{{"traceparent", trace}};
  if (const auto key = in.find("waggle-key"); key && wire::is_utf8(*key)) out.emplace("key", *key);
  return wire::headers_to_msgpack(out);
}

void application::on_abandoned(front::instant, front::exchange_id id) {
  const auto found = calls_.find(static_cast<std::uint64_t>(id));
  if (found == calls_.end()) return;
  const auto call = found->second;
  calls_.erase(found);
  core_.cancel(call, sink{*this});
}

void application::on_part(purpose& of, std::string_view payload) {
  if (payload.empty()) payload = "\xc0";
  if (of.overfull || !of.exchange) return;
  if (of.parts.size() + payload.size() <= wire::payload_bytes_max) {
    of.parts += payload;
    ++of.part_count;
    return;
  }
  of.overfull = true;
  of.parts = {};
  // Nobody gets what would still come.
  if (const auto call = calls_.find(static_cast<std::uint64_t>(*of.exchange)); call != calls_.end()) {
    core_.cancel(call->second, sink{*this});
  }
}

void application::on_result(purpose& of, std::string_view payload) {
  if (!of.exchange) return learn(payload);
  if (payload.empty()) payload = "\xc0";
  if (!of.plan.streams) return answer(of, std::string{payload});
  if (of.overfull) return answer(of, too_large());
  std::string all;
  wire::writer writer{all};
  writer.map(2);
  writer.string("parts");
  writer.array(of.part_count);
  writer.raw(of.parts);
  writer.string("reply");
  writer.raw(payload);
  answer(of, std::move(all));
}

void application::on_error(purpose& of, error why) {
  if (of.exchange && of.overfull) return answer(of, too_large());
  if (of.exchange) return answer(of, tl::unexpected{std::move(why)});
  watching_ = false;
  watch_at_ = front::clock::now() + watch_pause;
}

void application::answer(const purpose& of, const result<std::string>& payload) {
  calls_.erase(static_cast<std::uint64_t>(*of.exchange));
  answers_.respond(*of.exchange, router::answer(of.plan, payload));
}

/// Asks for the network, or for its next change.
void application::watch(front::instant now) {
  std::string asked;
  wire::writer writer{asked};
  writer.map(2);
  writer.string("known");
  writer.string(revision_);
  writer.string("wait_ms");
  writer.unsigned_integer(static_cast<std::uint64_t>(watch_time.count()));
  auto made = std::make_unique<purpose>();
  watching_ = core_.call(now, made, watched, asked, watch_budget, {}) != 0;
  if (!watching_) watch_at_ = now + watch_pause;
}

void application::learn(std::string_view payload) {
  watching_ = false;
  watch_at_ = {};
  auto network = read_network_view(payload);
  if (!network) {
    watch_at_ = front::clock::now() + watch_pause;
    return log("the broker's list of services cannot be read: " + network.error().message);
  }
  if (network->revision == revision_) return;
  if (!broker_instance_.empty() && network->broker.instance != broker_instance_) {
    const auto now = front::clock::now();
    if (adopt_at_ == front::instant{}) adopt_at_ = now + adopt_time;
    if (now < adopt_at_) {
      watch_at_ = adopt_at_;
      return;
    }
  }
  adopt_at_ = {};
  broker_instance_ = network->broker.instance;
  revision_ = network->revision;
  if (!options_.only_service.empty()) {
    for (auto& service : network->services) {
      if (service.service == options_.only_service) continue;
      for (auto& command : service.commands) command.http.clear();
    }
  }
  if (options_.on_network) options_.on_network(*network);
  for (auto& warning : router_.update(*network)) {
    if (warned_.size() >= warned_max) warned_.clear();
    if (warned_.insert(warning).second) log(warning);
  }
}

front::instant application::next_deadline() const {
  if (behind_) return {};
  return watching_ || !core_.ready() ? core_.next_deadline() : std::min(core_.next_deadline(), watch_at_);
}

/// Receives, lets time pass, sends; until the socket, whose descriptor tells only of changes, has nothing more to say, or has
/// said so much that others must have their turn first.
void application::pump(front::instant now) {
  const sink to{*this};
  int turns = 0;
  do {
    for (int i = 0; i < receive_max; ++i) {
      const auto got = socket_->receive();
      if (!got) break;
      core_.receive(now, *got, to);
    }
    core_.tick(now, to);
    if (core_.wants_connection()) {
      bundle_.clear();
      socket_ = std::make_unique<net::dealer>(*options_.sockets);
      socket_->connect(options_.broker);
    }
    if (core_.ready() != was_ready_) {
      was_ready_ = core_.ready();
      if (was_ready_) {
        log("connected to " + core_.broker().broker + " at " + options_.broker);
        watch_at_ = {};
      } else {
        unready_since_ = now;
        log("lost the broker at " + options_.broker + "; waiting for it");
      }
    }
    if (core_.ready() && !watching_ && watch_at_ <= now) watch(now);
    while (!bundle_.empty() || core_.take_bundle(now, bundle_)) {
      if (socket_->send(bundle_) != net::sent::yes) break;
      bundle_.clear();
    }
    behind_ = socket_->readable();
  } while (behind_ && ++turns < turns_max);
}

}  // namespace waggle::gateway
