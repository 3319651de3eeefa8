#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

#include "gateway/exchange.hpp"
#include "gateway/front/application.hpp"
#include "gateway/identity/identity.hpp"
#include "gateway/replies/digest.hpp"
#include "gateway/routes/plan_run.hpp"
#include "gateway/routes/router.hpp"
#include "gateway/traffic/command_guards.hpp"
#include "gateway/traffic/concurrency.hpp"

namespace waggle::gateway {

/// A request that is under way: one call, or a plan.
struct open_request : std::enable_shared_from_this<open_request> {
  front::exchange_id exchange{};
  bool head = false;      ///< HEAD
  bool begun = false;     ///< what it stands for; until then nothing of it is under way
  bool answered = false;  ///< or there is nobody to answer
  trace_text trace;       ///< of what it calls: W3C traceparent
  request_id_text request_id;
  identity_ptr who;       ///< makes it; null: nobody has said
  /// Of its route. Held until everything that it calls has ended, also after its answer or without its client: it is the services that are spared.
  concurrency_permit permit;

  /// Of an answer that is kept, or that others wait for: the call that brings it (gateway/replies/reply_cache.hpp); 0: none.
  std::uint64_t flight = 0;
  bool leads = false;  ///< this request makes it

  /// Of a request with an Idempotency-Key.
  struct keyed_request {
    digest key{};
    bool is_mine = false;        ///< from when it has been reserved until it is settled or released
    bool may_run_twice = false;
    std::int64_t keep_ms = 0;
    std::uint64_t ticket = 0;    ///< of what the store is doing; 0: nothing
    front::instant until{};      ///< nobody waits longer for that
    std::optional<front::response> answer;  ///< that leaves when it is kept
  };
  std::optional<keyed_request> keyed;
  bool nothing_ran = true;  ///< that is certain, of what has been called for it

  /// One call whose reply is the answer.
  planned_call call;
  std::uint64_t call_id = 0;
  front::instant since;  ///< when the call began
  bool wants_metrics = false;  ///< the call is `waggle.queues`, of which /metrics is made
  std::string parts;  ///< of an answer that waits for all of them: their payloads, back to back
  std::uint32_t part_count = 0;
  bool overfull = false;
  bool streaming = false;         ///< the answer has begun
  std::uint64_t credit_owed = 0;  ///< parts that have been passed on, for which the worker has got no credit yet

  /// A plan.
  std::unique_ptr<plan_run> run;
  struct open_call {
    std::uint64_t id = 0;
    front::instant since;
    std::string command;  ///< empty: an event
  };
  std::map<std::size_t, open_call> calls;  ///< by its open slots
  front::instant scheduled = front::instant::max();
  std::size_t plan_bytes = 0;  ///< what it has been counted with

  std::set<std::size_t> waiting;  ///< slots whose call has failed and will be made again
};
using open_request_ptr = std::shared_ptr<open_request>;

/// What a breaker and retries need of a call that is under way.
struct guarded_call {
  std::shared_ptr<command_guards> by;
  std::string command;
  circuit_breaker::ticket ticket = 0;
  /// Of a call that may be made again: what it takes, and why the last attempt failed.
  struct repeatable {
    std::string payload;
    std::optional<std::string> key;
    std::uint64_t parts = wire::no_credit_limit;  ///< that may come ahead
    front::instant deadline{};
    unsigned attempts = 1;
    error why{};
  };
  std::optional<repeatable> again;
};

/// What an open call is for: a request, a stream of events, or (without either) the watch on the network.
struct call_tag {
  open_request_ptr of;
  std::size_t slot = 0;           ///< of a plan; of a stream, its number for what it asks
  std::uint64_t events_for = 0;   ///< the stream's number; 0: none
  std::unique_ptr<guarded_call> guarded{};  ///< null: neither breaker nor retries are for it
};

}  // namespace waggle::gateway
