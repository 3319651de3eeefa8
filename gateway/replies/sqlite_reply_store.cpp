#include "gateway/replies/sqlite_reply_store.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <waggle/wire/reader.hpp>
#include <waggle/wire/writer.hpp>

#include "broker/storage/check_sum.hpp"

namespace waggle::gateway {
namespace {

using storage::sqlite_error;
using storage::sqlite_rows;
using storage::sqlite_statement;

/// `state`: 0 running, 1 finished, 2 finished without an answer, 3 running when the process ended. `bytes`: stored_bytes of it.
constexpr const char* schema = R"(
CREATE TABLE replies (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  fingerprint BLOB NOT NULL,
  state INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  status INTEGER NOT NULL DEFAULT 0,
  content_type BLOB NOT NULL DEFAULT x'',
  headers BLOB NOT NULL DEFAULT x'',
  body BLOB NOT NULL DEFAULT x'',
  check_sum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX replies_until ON replies (until_ms);
CREATE INDEX replies_running ON replies (state) WHERE state = 0;
)";
constexpr std::int64_t format = 1;
constexpr std::int64_t application = 0x77616772;  // "wagr"

enum : std::int64_t { running = 0, finished = 1, too_large = 2, unknown = 3 };

/// Names and values, one after the other, as one msgpack array.
std::string packed(const front::response& answer) {
  std::string out;
  wire::writer to{out};
  to.array(answer.headers.size() * 2);
  for (const auto& [name, value] : answer.headers) {
    to.binary(name);
    to.binary(value);
  }
  return out;
}

bool unpack(std::string_view bytes, front::response& into) {
  wire::reader in{bytes};
  std::uint32_t count = 0;
  if (in.peek() != wire::kind::array || !in.array(count) || count % 2 != 0) return false;
  for (std::uint32_t i = 0; i < count; i += 2) {
    std::string_view name, value;
    if (!in.binary(name) || !in.binary(value)) return false;
    into.headers.emplace_back(name, value);
  }
  return in.at_end();
}

std::int64_t sum_of(std::string_view key, int status, std::string_view content_type, std::string_view headers, std::string_view body) {
  return storage::check_sum{}.add(key).add(std::int64_t{status}).add(content_type).add(headers).add(body).value();
}

}  // namespace

class sqlite_reply_store::parts {
 public:
  parts(std::filesystem::path folder, store_limits limits, storage::sqlite_settings with)
      : limits_{limits}, file_{std::move(folder), {"replies.db", application, format, schema, "store of replies", "gateway"}, std::move(with)} {}

  result<void> open() {
    return guarded([&]() -> result<void> {
      file_.open();
      made_.emplace(file_.database());
      file_.database().run("UPDATE replies SET state = 3 WHERE state = 0");
      count();
      return {};
    });
  }

  result<std::vector<reserved>> commit(std::span<const store_entry> batch) {
    return transaction([&] {
      std::vector<reserved> out;
      out.reserve(batch.size());
      for (const auto& each : batch) out.push_back(std::visit([&](const auto& what) { return apply(what); }, each));
      return out;
    });
  }

  result<std::size_t> expire(std::int64_t now_ms, std::size_t rows_max) {
    // Most of the time there is nothing, and nothing is to be synced for that.
    auto any = guarded([&]() -> result<bool> {
      need_open();
      auto& first = made_->oldest;
      const sqlite_rows rows{first};
      return first.step() && !first.is_null(0) && first.integer(0) <= now_ms;
    });
    if (!any) return tl::unexpected{std::move(any.error())};
    if (!*any) return std::size_t{0};
    return transaction([&] {
      std::size_t out = 0;
      while (out < rows_max) {
        auto& row = made_->expired.with(now_ms);
        if (!row.step()) break;
        const auto id = row.integer(0);
        bytes_ -= static_cast<std::size_t>(row.integer(1));
        row.reset();
        made_->remove.with(id).run();
        --entries_;
        ++out;
      }
      return out;
    });
  }

 private:
  struct statements {
    explicit statements(const storage::sqlite_database& in)
        : find{in, "SELECT id, fingerprint, state, until_ms, bytes, status, content_type, headers, body, check_sum FROM replies WHERE key = ?"},
          add{in, "INSERT INTO replies (key, fingerprint, state, until_ms, bytes) VALUES (?, ?, 0, ?, ?)"},
          run_again{in, "UPDATE replies SET state = 0, until_ms = ? WHERE id = ?"},
          settle{in, "UPDATE replies SET state = ?, until_ms = ?, bytes = ?, status = ?, content_type = ?, headers = ?, body = ?, check_sum = ? WHERE id = ?"},
          remove{in, "DELETE FROM replies WHERE id = ?"},
          oldest{in, "SELECT min(until_ms) FROM replies"},
          expired{in, "SELECT id, bytes FROM replies WHERE until_ms <= ? ORDER BY until_ms LIMIT 1"} {}
    sqlite_statement find, add, run_again, settle, remove, oldest, expired;
  };
  struct kept {
    std::int64_t id = 0, state = running, until_ms = 0;
    std::size_t bytes = 0;
    bool is_same = false;  ///< request
    front::response answer;
    bool is_damaged = false;
  };

  template <class Function>
  auto guarded(Function&& function) -> decltype(function()) {
    try {
      return function();
    } catch (const sqlite_error& e) {
      return failure(e.code, e.what());
    } catch (const std::exception& e) {
      return failure(status::unavailable, "the store of replies failed: " + std::string{e.what()});
    }
  }

  template <class Function>
  auto transaction(Function&& function) -> result<decltype(function())> {
    auto out = guarded([&]() -> result<decltype(function())> {
      need_open();
      if (!counted_) count();
      file_.begin();
      auto made = function();
      file_.commit();
      return made;
    });
    if (!out && made_) {
      file_.undo(out.error().code);
      counted_ = false;
    }
    return out;
  }

  void need_open() const {
    if (!made_) throw sqlite_error{status::failed_precondition, "the store of replies is not open"};
  }

  void count() {
    entries_ = static_cast<std::size_t>(file_.database().number("SELECT count(*) FROM replies"));
    bytes_ = static_cast<std::size_t>(file_.database().number("SELECT coalesce(sum(bytes), 0) FROM replies"));
    counted_ = true;
  }

  std::optional<kept> find(const digest& key, const digest* fingerprint) {
    auto& from = made_->find.with(bytes_of(key));
    const sqlite_rows rows{from};
    if (!from.step()) return std::nullopt;
    kept out;
    out.id = from.integer(0);
    out.is_same = fingerprint != nullptr && from.bytes(1) == bytes_of(*fingerprint);
    out.state = from.integer(2);
    out.until_ms = from.integer(3);
    out.bytes = static_cast<std::size_t>(from.integer(4));
    if (!out.is_same || out.state != finished) return out;
    out.answer.status = static_cast<int>(from.integer(5));
    out.answer.content_type = from.bytes(6);
    out.answer.body = from.bytes(8);
    out.is_damaged = sum_of(bytes_of(key), out.answer.status, from.bytes(6), from.bytes(7), from.bytes(8)) != from.integer(9) || !unpack(from.bytes(7), out.answer);
    return out;
  }

  void forget(const kept& what) {
    made_->remove.with(what.id).run();
    --entries_;
    bytes_ -= what.bytes;
  }

  reserved apply(const store::reserve& what) {
    using found = reserved::state;
    auto known = find(what.key, &what.fingerprint);
    if (known && known->until_ms <= what.now_ms) {
      forget(*known);
      known.reset();
    }
    if (known) {
      if (!known->is_same) return {found::different};
      if (known->state == running) return {found::running};
      if (known->state == too_large) return {found::too_large};
      if (known->state == finished && !known->is_damaged) return {found::finished, std::move(known->answer)};
      if (!what.may_run_twice) return {found::unknown};
      made_->run_again.with(what.until_ms, known->id).run();
      return {};
    }
    if (entries_ >= limits_.entries_max || bytes_ + reserved_bytes > limits_.bytes_max) return {found::full};
    made_->add.with(bytes_of(what.key), bytes_of(what.fingerprint), what.until_ms, std::uint64_t{reserved_bytes}).run();
    ++entries_;
    bytes_ += reserved_bytes;
    return {};
  }

  reserved apply(const store::settle& what) {
    const auto known = find(what.key, nullptr);
    if (!known || known->state != running) return {};
    const auto bytes = stored_bytes(what.answer);
    if (bytes > stored_bytes_max || bytes_ - known->bytes + bytes > limits_.bytes_max) {
      made_->settle.with(too_large, what.until_ms, std::uint64_t{known->bytes}, std::int64_t{0}, std::string_view{}, std::string_view{}, std::string_view{}, std::int64_t{0}, known->id).run();
      return {};
    }
    const auto headers = packed(what.answer);
    const auto sum = sum_of(bytes_of(what.key), what.answer.status, what.answer.content_type, headers, what.answer.body);
    made_->settle
        .with(finished, what.until_ms, std::uint64_t{bytes}, std::int64_t{what.answer.status}, what.answer.content_type, headers, what.answer.body, sum, known->id)
        .run();
    bytes_ += bytes - known->bytes;
    return {};
  }

  reserved apply(const store::release& what) {
    if (const auto known = find(what.key, nullptr); known && known->state == running) forget(*known);
    return {};
  }

  store_limits limits_;
  storage::sqlite_file file_;
  std::optional<statements> made_;
  std::size_t entries_ = 0, bytes_ = 0;
  bool counted_ = false;
};

sqlite_reply_store::sqlite_reply_store(std::filesystem::path folder, store_limits limits, storage::sqlite_settings with)
    : parts_{std::make_unique<parts>(std::move(folder), limits, std::move(with))} {}
sqlite_reply_store::~sqlite_reply_store() = default;

result<void> sqlite_reply_store::open() { return parts_->open(); }
result<std::vector<reserved>> sqlite_reply_store::commit(std::span<const store_entry> batch) { return parts_->commit(batch); }
result<std::size_t> sqlite_reply_store::expire(std::int64_t now_ms, std::size_t rows_max) { return parts_->expire(now_ms, rows_max); }

}  // namespace waggle::gateway
