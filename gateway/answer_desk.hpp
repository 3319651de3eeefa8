#pragma once

#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "gateway/exchange.hpp"
#include "gateway/front/application.hpp"
#include "gateway/recycled.hpp"
#include "gateway/telemetry/access_log.hpp"
#include "gateway/telemetry/metrics.hpp"

namespace waggle::gateway {

/// Between whatever answers a request (a route, the gateway itself, a stream of events) and the front: every answer of a reactor thread passes here
/// once, gets what all answers to its request get, and is seen to its end. One for each thread.
class answer_desk final : public front::responder {
 public:
  /// Null: nothing is counted, and nothing is written down.
  answer_desk(front::responder& to, std::shared_ptr<metrics> counts, std::shared_ptr<access_log> log);

  /// Which requests get a line from now on.
  void log_as(const access_log_config& which) { logged_ = which; }

  /// A request has come. The reference is good until its answer's end.
  exchange& open(front::instant now, front::exchange_id id, const front::request& in, const request_id_text& request_id);
  /// Null: it has its answer, or nobody waits for one.
  [[nodiscard]] exchange* find(front::exchange_id id);
  /// The client has gone.
  void abandoned(front::instant now, front::exchange_id id);
  [[nodiscard]] std::size_t size() const { return open_.size(); }

  void respond(front::exchange_id to, front::response answer) override;
  void begin(front::exchange_id to, front::response head) override;
  bool append(front::exchange_id to, std::string_view bytes) override;
  void finish(front::exchange_id to) override;
  void abort(front::exchange_id to) override;
  [[nodiscard]] std::size_t backlog(front::exchange_id to) const override { return to_.backlog(to); }
  [[nodiscard]] std::size_t connections() const override { return to_.connections(); }

 private:
  void dress(exchange& of, front::response& answer);
  void close(front::instant now, front::exchange_id id, exchange_end how);

  front::responder& to_;
  gzip gzip_;
  std::shared_ptr<metrics> counts_;
  std::shared_ptr<access_log> log_;
  access_log_config logged_;
  std::minstd_rand chance_;  ///< of the sample
  recycled_table<exchange> open_;
};

}  // namespace waggle::gateway
