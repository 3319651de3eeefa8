#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/error.hpp>

#include "gateway/front/application.hpp"
#include "gateway/routes/media.hpp"
#include "gateway/routes/route_plan.hpp"
#include "gateway/routes/route_table.hpp"

namespace waggle::gateway {

/// What a plan wants done, in this order.
struct plan_effects {
  struct order {
    std::size_t slot = 0;  ///< the plan's name for it: its end is told with it
    bool emit = false;
    std::string name;  ///< of the command, or the topic
    std::string payload;
    std::chrono::milliseconds budget{};
    std::optional<std::string> key;
    std::optional<std::string> event_id;  ///< of an event: the same id again is the same event
    bool idempotent = false;
    bool patient = false;  ///< nobody waits for an answer: it may wait for a broker that is away
  };
  std::vector<order> orders;
  std::vector<std::size_t> cancels;  ///< slots that are open: each still comes to an end
  std::optional<front::response> answer;
  bool nothing_ran = false;  ///< of this answer: that is certain
  std::vector<std::string> notes;  ///< for the log: what went wrong where nobody is told
};

/// One request on its way through the steps of its route. No socket, thread, clock or log: whoever drives it opens the calls it
/// orders, tells it their ends, and looks at its deadline. Everything it needs of the request it has taken at its beginning.
///
/// The order of things: the synchronous steps, as parallel as their references allow; the answer; the steps of `then`. When a
/// required step fails, what is open is cancelled, what has been done is undone, newest first, and then the failure is the
/// answer, at the latest when the request's budget is over. A client that goes away before its answer counts as a failure.
class plan_run {
 public:
  /// What is known of the request once it has been read and found good.
  struct beginning {
    std::shared_ptr<const route_table> table;  ///< keeps the route
    const route* of = nullptr;
    reply_format reply = reply_format::json;
    std::chrono::milliseconds budget{};
    std::optional<std::string> key;  ///< of the whole request: what Waggle-Key says
    std::optional<std::string> event_id;  ///< of a route that is one event: what Idempotency-Key says
    /// Of each step: which of its targets is called, and what has been taken of the request.
    struct step {
      std::size_t target = 0;
      std::optional<std::string> payload;  ///< made at once
      taken_values taken;
      std::optional<std::string> key;
      taken_values undo_taken;
      std::optional<std::string> undo_key;
    };
    std::vector<step> steps;
    taken_values reply_taken;
    std::vector<taken_values> header_taken;
    std::optional<std::string> mirror_payload;  ///< none: this request is not mirrored
  };

  explicit plan_run(beginning from);

  [[nodiscard]] const route& of() const { return *from_.of; }
  /// All that it has taken of the request, before it has begun: requests of one route with the same text are answered alike, whoever makes them.
  [[nodiscard]] std::string request_text() const;
  /// Every command that it may call may run twice.
  [[nodiscard]] bool may_run_twice() const;
  [[nodiscard]] std::chrono::milliseconds budget() const { return from_.budget; }

  void begin(front::instant now, plan_effects& out);
  void on_result(front::instant now, std::size_t slot, std::string_view payload, plan_effects& out);
  void on_error(front::instant now, std::size_t slot, error why, plan_effects& out);
  void on_abandoned(front::instant now, plan_effects& out);
  void tick(front::instant now, plan_effects& out);
  /// When `tick` would do something; `instant::max()` for never.
  [[nodiscard]] front::instant next_deadline() const;
  /// Nothing is open and nothing will be.
  [[nodiscard]] bool finished() const;
  /// What it keeps of the request and of the results of its steps, roughly.
  [[nodiscard]] std::size_t bytes() const;

 private:
  enum class state : std::uint8_t { waiting, open, succeeded, failed };
  enum class phase : std::uint8_t { steps, undoing, then, over };
  struct undo_state {
    std::size_t step;
    bool open = false;
    front::instant deadline{};
    front::instant again_at = front::instant::max();
    std::chrono::milliseconds pause{100};
    std::optional<std::string> payload{};
  };

  [[nodiscard]] const route_plan& plan() const { return *from_.of->plan; }
  [[nodiscard]] const step_plan& step(std::size_t i) const { return plan().steps()[i]; }
  [[nodiscard]] std::size_t undo_slot(std::size_t i) const { return plan().steps().size() + i; }
  [[nodiscard]] std::size_t mirror_slot() const { return 2 * plan().steps().size(); }
  [[nodiscard]] const target_plan& target(std::size_t i) const { return step(i).targets[from_.steps[i].target]; }
  [[nodiscard]] std::string name_of(std::size_t i) const;

  void advance(front::instant now, plan_effects& out);
  bool advance_steps(front::instant now, std::size_t from, std::size_t to, plan_effects& out);
  void start(front::instant now, std::size_t i, plan_effects& out);
  void fail(std::size_t i, error why, plan_effects& out);
  void begin_undoing(std::size_t because, error why, plan_effects& out);
  void undo_more(front::instant now, plan_effects& out);
  void end_undo(bool done, const std::string& why, plan_effects& out);
  void answer_failure(plan_effects& out);
  void answer_success(plan_effects& out);
  [[nodiscard]] front::response decorated(front::response of) const;
  [[nodiscard]] bool synchronous_open() const;

  beginning from_;
  front::instant deadline_{};
  phase phase_ = phase::steps;
  std::vector<state> states_;
  std::vector<step_outcome> outcomes_;
  std::vector<bool> may_have_run_;
  std::vector<std::size_t> done_;  ///< steps that have succeeded, oldest first
  std::size_t open_ = 0;           ///< calls of all kinds
  std::optional<error> failure_;   ///< what the client is told
  std::string failed_step_;
  bool answered_ = false;  ///< or there is nobody to answer
  std::vector<undo_state> undos_;  ///< the next one last
  bool undos_chosen_ = false;
  std::vector<std::string> undone_, not_undone_;
};

}  // namespace waggle::gateway
