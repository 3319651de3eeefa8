// stand-in until memory_log is there
#include <algorithm>
#include <map>
#include <set>

#include "sim/events/station.hpp"

namespace waggle::sim {
namespace {
using namespace broker;

struct op_entry { stored_operation what; std::string ikey, payload; std::int64_t keep_ms = 0; };

class model_log final : public event_log {
 public:
  explicit model_log(const std::int64_t& now) : now_{now} {}
  bool durable() const override { return true; }
  struct str { std::map<std::uint64_t, stored_event> events; std::uint64_t head = 0, first = 1, bytes = 0; std::set<std::uint64_t> damaged; };
  struct mk { write::mark what; std::int64_t due = 0; };
  static std::uint64_t size(const stored_event& e) { return e.topic.size() + e.payload.size() + e.headers.size() + e.event_id.size(); }

  result<log_contents> open() override {
    log_contents out;
    for (auto& [n, s] : streams) out.streams.push_back({n, s.first, s.head, s.bytes, s.events.empty() ? 0 : now_ - s.events.begin()->second.time_ms});
    for (auto& [n, a] : groups) out.groups.push_back({n, a});
    for (auto& [k, c] : cursors) out.cursors.push_back({k.first, k.second, c.first, c.second});
    for (auto& [k, m] : marks) { auto w = m.what; w.retry_in_ms = m.due - now_; out.marks.push_back(w); }
    std::map<std::string, std::uint64_t> counts;
    for (auto& [i, d] : dead) ++counts[d.group];
    for (auto& [g, c] : counts) out.dead.push_back({g, c});
    return out;
  }
  write_result commit(const std::vector<write_entry>& batch) override {
    std::vector<written> out;
    for (auto& e : batch) out.push_back(std::visit([&](auto& w) { return on(w); }, e));
    return out;
  }
  written on(const write::append& w) {
    written r;
    auto& s = streams[w.stream];
    if (!w.event_id.empty()) {
      auto f = ids.find({w.stream, w.event_id});
      if (f != ids.end() && now_ - f->second.second < w.once_within_ms) { r.sequence = f->second.first; r.time_ms = f->second.second; r.repeated = true; r.bytes = s.bytes; return r; }
    }
    r.sequence = ++s.head;
    r.time_ms = now_;
    stored_event e{s.head, now_, w.topic, w.payload, w.headers, w.event_id};
    s.bytes += size(e);
    s.events[s.head] = e;
    if (!w.event_id.empty()) ids[{w.stream, w.event_id}] = {s.head, now_};
    r.bytes = s.bytes;
    return r;
  }
  written on(const write::accept& w) {
    written r;
    if (!w.idempotency_key.empty()) {
      for (auto& [id, o] : ops) {
        if (o.ikey != w.idempotency_key || o.what.command != w.command) continue;
        if (o.payload != w.payload) { r.conflict = true; return r; }
        r.repeated = true; r.operation = id; r.sequence = o.what.sequence; r.ended = o.what.ended_ms.has_value(); return r;
      }
    }
    char id[40];
    std::snprintf(id, sizeof id, "%032llx", static_cast<unsigned long long>(++last_op));
    auto a = on(write::append{w.stream, w.command, w.payload, w.headers, id, 0});
    a.operation = id;
    auto& o = ops[id];
    o.what.operation = id; o.what.command = w.command; o.what.sequence = a.sequence; o.what.accepted_ms = now_;
    o.ikey = w.idempotency_key; o.payload = w.payload;
    return a;
  }
  written on(const write::finish& w) {
    auto f = ops.find(w.operation);
    if (f != ops.end()) { f->second.what.ended_ms = now_; f->second.what.code = w.code; f->second.what.payload = w.payload; f->second.keep_ms = w.keep_ms; }
    return {};
  }
  written on(const write::group& w) { groups[w.group] = w.about; return {}; }
  written on(const write::progress& w) {
    auto& c = cursors[{w.group, w.stream}];
    c = {w.settled, w.reserved};
    std::erase_if(marks, [&](auto& m) { return m.second.what.group == w.group && m.second.what.stream == w.stream && m.second.what.sequence <= w.settled; });
    return {};
  }
  written on(const write::mark& w) {
    auto& m = marks[{w.group, w.stream, w.sequence}];
    if (m.what.sequence != 0 && m.what.attempts > w.attempts) return {};
    m.what = w; m.due = now_ + w.retry_in_ms;
    return {};
  }
  written on(const write::bury& w) {
    written r;
    for (auto& [id, d] : dead) {
      if (d.group == w.group && d.stream == w.stream && d.event.sequence == w.sequence) { d.attempts = w.attempts; d.why = w.why; r.id = id; return r; }
    }
    dead_letter d;
    d.id = ++last_dead; d.group = w.group; d.stream = w.stream; d.event.sequence = w.sequence;
    auto& s = streams[w.stream];
    if (auto f = s.events.find(w.sequence); f != s.events.end() && !s.damaged.contains(w.sequence)) d.event = f->second;
    d.bytes = d.event.payload.size() + d.event.headers.size(); d.attempts = w.attempts; d.why = w.why; d.dead_ms = now_;
    dead[d.id] = d;
    auto c = cursors.find({w.group, w.stream});
    if (c == cursors.end() || c->second.first < w.sequence) { auto& m = marks[{w.group, w.stream, w.sequence}]; m.what = {w.group, w.stream, w.sequence, w.attempts, false, true, 0, w.why}; }
    r.id = d.id;
    return r;
  }
  written on(const write::drop_dead& w) { written r; r.count = dead.erase(w.id); return r; }
  written on(const write::forget_group& w) {
    groups.erase(w.group);
    std::erase_if(cursors, [&](auto& m) { return m.first.first == w.group; });
    std::erase_if(marks, [&](auto& m) { return m.second.what.group == w.group; });
    written r; r.count = std::erase_if(dead, [&](auto& m) { return m.second.group == w.group; });
    return r;
  }
  written on(const write::trim& w) {
    written r;
    auto& s = streams[w.stream];
    while (!s.events.empty() && r.count < w.count_max) {
      auto& [q, e] = *s.events.begin();
      if (q > w.sequence_max || (now_ - e.time_ms <= w.age_max_ms && s.bytes <= w.bytes_max)) break;
      s.bytes -= size(e);
      s.events.erase(s.events.begin());
      ++r.count;
    }
    s.first = s.events.empty() ? s.head + 1 : s.events.begin()->first;
    r.first = s.first; r.bytes = s.bytes; r.time_ms = s.events.empty() ? 0 : s.events.begin()->second.time_ms;
    return r;
  }
  written on(const write::expire_operations& w) {
    written r;
    for (auto i = ops.begin(); i != ops.end() && r.count < w.count_max;) {
      if (i->second.what.ended_ms && now_ - *i->second.what.ended_ms >= i->second.keep_ms) { i = ops.erase(i); ++r.count; } else ++i;
    }
    return r;
  }
  read_result look_up(const read_entry& what) override { return std::visit([&](auto& r) { return read_result{look(r)}; }, what); }
  static bool has(const std::vector<std::string>& p, std::string_view t) { return p.empty() || std::any_of(p.begin(), p.end(), [&](auto& e) { return t.starts_with(e); }); }
  found look(const read::events& r) {
    found f;
    auto& s = streams[r.stream];
    f.next = std::max(r.from, s.head + 1);
    std::uint64_t bytes = 0; std::uint32_t scanned = 0;
    for (auto i = s.events.lower_bound(r.from); i != s.events.end(); ++i) {
      if (scanned++ >= r.scanned_max || f.events.size() >= r.count_max || (bytes > 0 && bytes + size(i->second) > r.bytes_max)) { f.next = i->first; break; }
      if (s.damaged.contains(i->first)) { f.damaged.push_back(i->first); continue; }
      if (!has(r.prefixes, i->second.topic)) continue;
      bytes += size(i->second);
      f.events.push_back(i->second);
    }
    return f;
  }
  found look(const read::place& r) {
    found f;
    auto& s = streams[r.stream];
    f.next = s.head + 1;
    if (r.last > 0) {
      auto left = r.last;
      for (auto i = s.events.rbegin(); i != s.events.rend() && left > 0; ++i) if (has(r.prefixes, i->second.topic)) { f.next = i->first; --left; }
    } else {
      for (auto& [q, e] : s.events) if (now_ - e.time_ms <= r.age_max_ms) { f.next = q; break; }
    }
    return f;
  }
  found look(const read::dead_letters& r) {
    found f;
    std::uint64_t bytes = 0;
    for (auto& [id, d] : dead) {
      if (!r.group.empty() && d.group != r.group) continue;
      ++f.total;
      if (id < r.from || f.dead.size() >= r.count_max) continue;
      if (r.with_payload && bytes > 0 && bytes + d.bytes > r.bytes_max) continue;
      bytes += d.bytes;
      f.dead.push_back(d);
      if (!r.with_payload) { f.dead.back().event.payload.clear(); f.dead.back().event.headers.clear(); }
    }
    return f;
  }
  found look(const read::operation& r) {
    found f;
    if (auto o = ops.find(r.operation); o != ops.end()) f.operation = o->second.what;
    return f;
  }
  const std::int64_t& now_;
  std::map<std::string, str> streams;
  std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, std::int64_t>> ids;
  std::map<std::string, std::string> groups;
  std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, std::uint64_t>> cursors;
  std::map<std::tuple<std::string, std::string, std::uint64_t>, mk> marks;
  std::map<std::uint64_t, dead_letter> dead;
  std::map<std::string, op_entry> ops;
  std::uint64_t last_op = 0, last_dead = 0;
};

class model_disk final : public disk {
 public:
  explicit model_disk(const std::int64_t& now) : log_{now} {}
  event_log& log() override { return log_; }
  void damage(const std::string& stream, std::uint64_t sequence) override { log_.streams[stream].damaged.insert(sequence); }
 private:
  model_log log_;
};
}  // namespace

std::unique_ptr<disk> make_disk(const std::int64_t& now_ms) { return std::make_unique<model_disk>(now_ms); }
}  // namespace waggle::sim
